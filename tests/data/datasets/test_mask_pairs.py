import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.data import SetAside
from minimax_al.data.datasets.mask_pairs import MaskOptions, Pairs, dataset_from_pairs, pair_folders
from minimax_al.data.masks.legend import Legend
from minimax_al.errors import ConfigurationError, DataError

LEGEND = Legend.of_names(["ground", "cell", "void"])


@pytest.fixture
def paint(tmp_path):
    """Writes an image and a mask of one name; returns the labels of the mask."""

    def write(name, labels=None, size=(8, 6), grey=0, mask_name=None):
        generator = np.random.default_rng(sum(name.encode()))
        if labels is None:
            labels = generator.integers(0, 2, size[::-1], dtype=np.uint8)
        image, mask = tmp_path / f"images/{name}.png", tmp_path / f"masks/{mask_name or name}.png"
        for path in (image, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (grey,) * 3).save(image)
        Image.fromarray(labels).save(mask)
        return labels

    return write


@pytest.fixture
def load(tmp_path):
    def load_pairs(size=(6, 8), **options):
        pairs = pair_folders(tmp_path, tmp_path / "images", tmp_path / "masks")
        return dataset_from_pairs("cells", LEGEND, pairs, Pairs(), MaskOptions(size, **options))

    return load_pairs


def test_images_and_masks_keep_their_pairs(paint, load):
    labels = {f"{part}/{i}": paint(f"{part}/{i}", grey=10 * i) for part in "ab" for i in range(3)}
    made = load()
    assert (made.task, made.class_names, made.train.size, len(made.test)) == (
        "segmentation",
        ("ground", "cell"),
        (6, 8),
        0,
    )
    assert made.train.names == tuple(f"images/{name}.png" for name in labels)
    for position, (name, mask) in enumerate(labels.items()):
        assert made.train_targets[position].tolist() == mask.tolist()
        assert made.train.pixels[position].unique().tolist() == [10 * int(name[-1])]


def test_a_mask_is_read_in_the_formats_of_images_alone(paint, load, tmp_path):
    """Others run programs: Pillow gives PostScript to Ghostscript."""
    paint("a")
    paint("b")
    Image.new("L", (8, 6)).save(tmp_path / "masks/b.png", format="EPS")
    (aside,) = load().set_aside
    assert (
        aside.reason
        == "its mask 'b.png' cannot be read: it is a PostScript document, whatever its name: convert it to JPEG or PNG"
    )


def test_a_mask_of_another_size_is_refused_before_it_is_decoded(paint, load, tmp_path, monkeypatch):
    paint("a")
    paint("b", size=(9, 5))
    Image.new("RGB", (8, 6)).save(tmp_path / "images/b.png")
    monkeypatch.setattr(Legend, "read", lambda *_: np.zeros((6, 8), np.uint8))
    with pytest.raises(DataError, match=r"b\.png' has 9 x 5 pixels, but its image .* has 8 x 6"):
        load()


def test_a_mask_of_swapped_size_is_refused_with_a_hint_at_exif(paint, load, tmp_path):
    paint("a")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "images/a.png", exif=turned)
    with pytest.raises(DataError, match=r"has 8 x 6 pixels, but its image .* has 6 x 8: .*upright as .* EXIF"):
        load()


def test_pillows_own_limit_and_warnings_stay_below(paint, load, monkeypatch):
    paint("a")
    paint("b")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)  # Pillow warns of 48 pixels; warnings are errors in tests
    assert len(load().train) == 2


def test_the_stored_size_stretches_images_and_takes_masks_to_the_nearest(paint, load):
    labels = paint("a", size=(12, 8))
    paint("b", size=(6, 16))
    made = load(4)
    assert (made.train.size, tuple(made.train_targets.shape)) == ((4, 4), (2, 4, 4))
    # The pixel whose middle is nearest to the middle of the new one; ties go to the later.
    assert made.train_targets[0].tolist() == labels[1::2, 1::3].tolist()


def test_halves_stay_halves_at_any_size(tmp_path, load):
    labels = np.zeros((30, 40), dtype=np.uint8)
    labels[:, 20:] = 1
    for folder, pixels in (("images", np.repeat(255 * labels[..., None], 3, axis=2)), ("masks", labels)):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")
    for size in (10, (7, 12), (60, 100)):
        made = load(size)
        bright = made.train.pixels[0, 0] > 127
        assert torch.equal(bright, made.train_targets[0] == 1)


def test_a_masks_name_may_have_a_suffix(paint, load):
    for ending in ("_mask", "_train_id", "_L", ""):
        paint(f"a{ending}1", mask_name=f"a{ending}1{ending}")
    assert len(load().train) == 4


def test_files_that_cannot_be_decoded_are_set_aside_with_their_pair(paint, load, tmp_path):
    for name in ("a", "b", "c", "d"):
        paint(name)
    (tmp_path / "images/a.png").write_bytes(b"")
    (tmp_path / "masks/b.png").write_text("no image")
    (tmp_path / "images/list.txt").write_text("a")
    told = []
    made = load(progress=lambda _, done, total, unit: told.append((done, total)))
    assert made.train.names == ("images/c.png", "images/d.png")
    assert len(made.train_targets) == 2
    assert made.set_aside == (
        SetAside("images/list.txt", "its ending '.txt' is not that of an image format that is read"),
        SetAside("images/a.png", "it is empty (0 bytes)"),
        SetAside("images/b.png", "its mask 'b.png' cannot be read: it is not an image in a known format"),
    )
    assert told[-1] == (4, 4)
    paint("e", size=(20, 20))
    assert "limit" in load(max_pixels=100).set_aside[-1].reason
    for name in ("c", "d", "e"):
        (tmp_path / f"images/{name}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 5 training images is usable with its mask \('images/list.txt'"):
        load()


def test_a_mask_of_another_size_than_its_image(paint, load, tmp_path):
    paint("a")
    Image.new("RGB", (6, 8)).save(tmp_path / "images/a.png")
    with pytest.raises(DataError, match=r"a\.png' has 8 x 6 pixels, but its image 'images/a\.png' has 6 x 8"):
        load()


def test_a_label_outside_of_the_classes_names_value_file_and_pixel(paint, load):
    labels = np.zeros((6, 8), dtype=np.uint8)
    labels[3, 4] = 9
    paint("deep/a", labels)
    with pytest.raises(DataError, match=r"masks/deep/a\.png' has the label 9 at pixel \(row 3, column 4\)"):
        load()


def test_a_image_without_mask_and_a_mask_without_image(paint, load, tmp_path):
    paint("a")
    paint("b")
    (tmp_path / "masks/b.png").rename(tmp_path / "masks/c.png")
    with pytest.raises(DataError, match=r"the image 'images/b\.png' has no mask: looked for 'b\.png' in"):
        load()
    (tmp_path / "images/b.png").unlink()
    with pytest.raises(DataError, match=r"the mask 'masks/c\.png' has no image: looked for 'c' in"):
        load()


def test_two_images_of_one_name(paint, load, tmp_path):
    paint("a")
    Image.new("RGB", (8, 6)).save(tmp_path / "images/a.jpg")
    with pytest.raises(DataError, match=r"'a\.jpg' and 'a\.png' in .*images' have the same name 'a'"):
        load()


def test_jpeg_keeps_no_labels(paint, load, tmp_path):
    labels = paint("a")
    (tmp_path / "masks/a.png").unlink()
    Image.fromarray(labels).save(tmp_path / "masks/a.jpg")
    with pytest.raises(DataError, match="is a JPEG, which changes the values"):
        load()


def test_masks_that_are_void_throughout(paint, load):
    void = np.full((6, 8), 2, dtype=np.uint8)
    paint("a")
    paint("b", void)
    made = load()
    assert made.train.names == ("images/a.png",)
    assert made.set_aside == (SetAside("images/b.png", "all pixels of its mask 'b.png' are void"),)
    with pytest.raises(DataError, match=r"all pixels of the mask .*b\.png' are void \(255\)"):
        load(void_masks_are_errors=True)
    paint("a", void)
    with pytest.raises(DataError, match=r"none of 2 training images is usable .* are void"):
        load()


def test_masks_with_255_as_the_second_class_are_reported(paint, load):
    labels = np.zeros((6, 8), dtype=np.uint8)
    labels[2:4, 2:4] = 255
    paint("a", labels)
    with pytest.raises(DataError, match=r"show only one class \(ground\); their other value is 255, which is void"):
        load()


@pytest.mark.parametrize("size", [0, -1, (4, 0), (1, 2, 3), (2.5, 3)])
def test_invalid_sizes_are_refused(paint, load, size):
    paint("a")
    with pytest.raises(ConfigurationError, match="must be a number of pixels, or height and width"):
        load(size)
