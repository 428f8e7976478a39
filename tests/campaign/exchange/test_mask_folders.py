"""Masks as people keep them: numbers in any mode, colours with a map, names with endings; and their mistakes."""

import numpy as np
import pytest
from PIL import Image

from minimax_al.data.datasets.dataset import IGNORED
from minimax_al.data.masks.legend import IGNORED as IGNORED_IN_LEGENDS
from minimax_al.errors import CampaignError, DataError

CLASSES = ["ground", "bird", "tree"]
COLOURS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (1, 2, 3)], dtype=np.uint8)
CSV = "name,red,green,blue\ntree,0,255,0\nbird,255,0,0\nground,0,0,0\nvoid,1,2,3\n"


@pytest.fixture
def campaign(make_campaign):
    """A campaign of masks over images of 20 x 16 pixels."""
    return make_campaign(task="segmentation", count=6, classes=CLASSES)


@pytest.fixture
def drawn():
    """A mask of all classes and void."""
    mask = np.random.default_rng(0).integers(0, 4, (16, 20)).astype(np.uint8)
    return np.where(mask == 3, 255, mask).astype(np.uint8)


@pytest.fixture
def save(tmp_path):
    """Writes a file of a folder of masks, and returns the folder."""

    def save_file(name, content, **options):
        path = tmp_path / "masks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        else:
            image = content if isinstance(content, Image.Image) else Image.fromarray(content)
            image.save(path, **options)
        return tmp_path / "masks"

    return save_file


def mask_of(campaign, path):
    return campaign.masks.load(campaign.labels()[path])


def in_colour(drawn):
    return Image.fromarray(COLOURS[np.where(drawn == 255, 3, drawn)])


@pytest.mark.parametrize("mode", ["L", "I;16", "RGB", "RGBA", "LA"])
def test_class_numbers_may_be_kept_in_any_mode(campaign, save, drawn, mode):
    image = Image.fromarray(drawn.astype(np.uint16)) if mode == "I;16" else Image.fromarray(drawn).convert(mode)
    campaign.import_labels(save("a/000.png", image))
    np.testing.assert_array_equal(mask_of(campaign, "a/000.png"), drawn)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("colours.csv", CSV),
        ("colors.json", '{"void": [1, 2, 3], "ground": [0, 0, 0], "bird": [255, 0, 0], "tree": [0, 255, 0]}'),
        (
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nvoid:1,2,3::\nbird:255,0,0::\nground:0,0,0::\ntree:0,255,0\n",
        ),
    ],
)
def test_colours_have_the_campaigns_numbers_whatever_the_order_of_their_map(campaign, save, drawn, name, text):
    save("a/000.png", in_colour(drawn))
    save("a/002.png", in_colour(drawn).quantize(4))
    campaign.import_labels(save(name, text))
    np.testing.assert_array_equal(mask_of(campaign, "a/000.png"), drawn)
    np.testing.assert_array_equal(mask_of(campaign, "a/002.png"), drawn)


def test_a_class_that_is_called_void_keeps_its_number(make_campaign, save, drawn):
    campaign = make_campaign(task="segmentation", count=6, classes=["void", "bird"])
    save("colours.csv", "void,0,0,0\nbird,255,0,0\n")
    mask = (drawn == 1).astype(np.uint8)
    campaign.import_labels(save("a/000.png", COLOURS[mask]))
    np.testing.assert_array_equal(mask_of(campaign, "a/000.png"), mask)


@pytest.mark.parametrize("ending", ["_L", "_mask", "_label"])
def test_a_masks_name_may_have_more_than_its_images(campaign, save, drawn, ending):
    campaign.import_labels(save(f"a/000{ending}.png", drawn))
    np.testing.assert_array_equal(mask_of(campaign, "a/000.png"), drawn)


def test_a_image_of_the_masks_whole_name_comes_first(make_campaign, save_images, save, drawn):
    images = save_images(2)
    Image.fromarray(drawn).resize((20, 16)).save(images / "a/000_L.bmp")
    campaign = make_campaign(images=images, task="segmentation", classes=CLASSES)
    campaign.import_labels(save("a/000_L.png", drawn))
    assert list(campaign.labels()) == ["a/000_L.bmp"]


def test_images_next_to_their_masks_are_not_masks(make_campaign, save_images, save, drawn):
    images = save_images(2)
    jpeg = Image.new("RGB", (20, 16), "red")
    jpeg.save(images / "a/red.jpg")
    campaign = make_campaign(images=images, task="segmentation", classes=CLASSES)
    save("a/red.jpg", jpeg)
    assert campaign.import_labels(save("a/red.png", drawn)).added == 1
    np.testing.assert_array_equal(mask_of(campaign, "a/red.jpg"), drawn)


def see_through(drawn):
    image = Image.fromarray(drawn).convert("RGBA")
    image.putpixel((3, 5), (0, 0, 0, 0))
    return image


NOISE = np.zeros((16, 20), dtype=np.uint8)
MISTAKES = [
    ("a/002.png", see_through, None, r"002\.png' is transparent at pixel \(row 5, column 3\).*without transparency"),
    ("a/002.png", lambda drawn: drawn.astype(np.uint16) * 257, None, r"has the label 65535 at pixel .* 255 is void"),
    ("a/002.png", in_colour, None, r"is in colour .*colours\.csv next to the masks"),
    ("a/002.png", lambda _: COLOURS[NOISE + 1] - 1, CSV, r"has the colour \(254, 255, 255\) at pixel"),
    ("a/002.png", in_colour, CSV + "car,9,9,9\n", r"names 'car', which is not in the list of classes.*call it void"),
    ("a/002.png", in_colour, "ground,0,0,0\n", r"the class 'bird' has no colour"),
    ("a/002.jpg", lambda drawn: drawn, None, r"002\.jpg' is not a PNG file: save it as one, or remove it"),
    ("a/002.tif", lambda drawn: drawn, None, r"002\.tif' is not a PNG file"),
    ("a/099_L.png", lambda drawn: drawn, None, r"'a/099_L' is not an image of this campaign"),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_nothing_is_imported(campaign, save, drawn, mistake):
    name, make, colours, match = mistake
    if colours is not None:
        save("colours.csv", colours)
    save("a/000.png", in_colour(drawn) if colours else drawn)
    folder = save(name, make(drawn))
    with pytest.raises(DataError, match=match):
        campaign.import_labels(folder)
    assert campaign.labels() == {}


def test_a_folder_of_jpeg_files_is_refused_with_the_reason(campaign, save, drawn):
    save("a/000.jpg", drawn)
    with pytest.raises(DataError, match=r"no masks, but 2 images such as 'a/000\.jpg', and JPEG changes the values"):
        campaign.import_labels(save("a/002.jpg", drawn))


def test_a_png_suffix_on_another_format_is_refused(campaign, save, drawn):
    with pytest.raises(DataError, match=r"000\.png' is not a PNG file, whatever its name"):
        campaign.import_labels(save("a/000.png", drawn, format="JPEG"))


def test_a_mask_that_is_void_everywhere_replaces_nothing(campaign, save, drawn):
    campaign.import_labels(save("a/000.png", drawn))
    nothing = np.full_like(drawn, 255)
    with pytest.raises(DataError, match=r"000\.png': all of the mask is void \(255\), so that it teaches nothing"):
        campaign.import_labels(save("a/000.png", nothing))
    with pytest.raises(DataError, match=r"'a/000\.png': all of the mask is void"):
        campaign.label_mask("a/000.png", nothing, author="ann")
    np.testing.assert_array_equal(mask_of(campaign, "a/000.png"), drawn)


def test_any_damage_of_a_file_is_one_sentence(campaign, save, drawn):
    """Bytes turned over and files cut short: either the mask is still read, or one sentence names the file."""
    file = save("a/000.png", drawn) / "a/000.png"
    whole = file.read_bytes()
    sentences = []
    generator = np.random.default_rng(0)
    for trial in range(80):
        damaged = bytearray(whole)
        damaged[generator.integers(len(whole))] ^= 1 << generator.integers(8)
        file.write_bytes(damaged[: generator.integers(1, len(whole))] if trial % 2 else damaged)
        try:
            campaign.import_labels(save("classes.txt", ""))
        except DataError as error:
            sentences.append(str(error))
    assert len(sentences) > 60
    assert all("000.png" in sentence and "\n" not in sentence for sentence in sentences)


def test_a_damaged_or_missing_stored_mask_is_reported(campaign, save, drawn):
    campaign.import_labels(save("a/000.png", drawn))
    (name,) = campaign.labels().values()
    file = campaign.masks.path(name)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(CampaignError, match=r"cannot be read \(it is damaged: .*\): restore it"):
        campaign.masks.load(name)
    file.unlink()
    with pytest.raises(CampaignError, match=r"cannot be read \(it does not exist\): restore it"):
        campaign.masks.load(name)


def test_a_mask_of_another_size_is_refused_before_it_is_decoded(campaign, save, monkeypatch):
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match="the mask has 3000 x 4 pixels and its image 20 x 16"):
        campaign.import_labels(save("a/000.png", np.zeros((4, 3000), np.uint8)))


def test_void_is_one_number_everywhere():
    assert IGNORED == IGNORED_IN_LEGENDS
