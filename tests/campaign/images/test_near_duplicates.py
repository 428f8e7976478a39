import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minimax_al.campaign.images.fingerprints import examine, perceptual_hash
from minimax_al.campaign.images.near_duplicates import representatives

from ...support.fakes import random_image  # noqa: TID252 - the same images


def brute_force(hashes, distance):
    """The definition, all with all: the first representative within the distance, in the order of the images."""
    of, leaders = [], []
    for position, text in enumerate(hashes):
        found = None
        if text is not None:
            found = next((i for i in leaders if (int(hashes[i], 16) ^ int(text, 16)).bit_count() <= distance), None)
            if found is None:
                leaders.append(position)
        of.append(position if found is None else found)
    return of


@st.composite
def clustered_hashes(draw):
    """Hashes of which many are close: a few centres with a few bits turned."""
    centres = draw(st.lists(st.integers(0, 2**128 - 1), min_size=1, max_size=4))
    hashes = []
    for _ in range(draw(st.integers(0, 25))):
        if draw(st.integers(0, 9)) == 0:
            hashes.append(None)
            continue
        value = draw(st.sampled_from(centres))
        for bit in draw(st.lists(st.integers(0, 127), max_size=6)):
            value ^= 1 << bit
        hashes.append(f"{value:032x}")
    return hashes


@settings(deadline=None, max_examples=60)
@given(clustered_hashes(), st.integers(0, 8))
def test_bands_find_what_comparing_all_with_all_finds(hashes, distance):
    assert representatives(hashes, distance).tolist() == brute_force(hashes, distance)


@pytest.mark.parametrize("seed", range(5))
def test_the_hash_survives_resizing_and_lossy_saving(tmp_path, seed):
    image = random_image(seed, size=(160, 120))
    image.resize((90, 70), Image.Resampling.LANCZOS).save(tmp_path / "small.jpg", quality=60)
    (other,) = (Image.open(tmp_path / "small.jpg"),)
    assert (int(perceptual_hash(image), 16) ^ int(perceptual_hash(other), 16)).bit_count() <= 6
    other.close()


def test_other_images_have_other_hashes():
    hashes = [int(perceptual_hash(random_image(seed)), 16) for seed in range(40)]
    closest = min((a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i])
    assert closest > 20


def test_a_flat_image_resembles_nothing():
    assert perceptual_hash(Image.new("RGB", (50, 50), "grey")) is None
    assert representatives([None, None], 6).tolist() == [0, 1]


def test_a_rotated_photograph_is_measured_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1))).save(tmp_path / "turned.jpg", exif=exif)
    found = examine(tmp_path, "turned.jpg")
    assert (found.width, found.height, found.reason) == (100, 200, None)


def test_a_damaged_file_says_why(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG nonsense")
    (tmp_path / "note.txt").write_text("no image")
    assert "not an image" in examine(tmp_path, "bad.png").reason
    assert "'.txt' is none of an image" in examine(tmp_path, "note.txt").reason
    assert "does not exist" in examine(tmp_path, "gone.png").reason
