import numpy as np
from PIL import Image

from minimax_al.campaign.images.fingerprints import examine


def test_a_rotated_photograph_is_measured_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1))).save(tmp_path / "turned.jpg", exif=exif)
    found = examine(tmp_path, "turned.jpg")
    assert (found.width, found.height, found.reason) == (100, 200, None)


def test_a_damaged_file_is_reported_with_the_reason(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG nonsense")
    (tmp_path / "note.txt").write_text("no image")
    assert "not an image" in examine(tmp_path, "bad.png").reason
    assert "'.txt' is not that of an image format" in examine(tmp_path, "note.txt").reason
    assert "does not exist" in examine(tmp_path, "gone.png").reason
