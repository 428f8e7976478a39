"""In campaigns of masks all of an image counts: nothing that was drawn is cut off, whatever the proportions."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.campaign.features.datasets import build_dataset
from minimax_al.campaign.features.training_data import read_training_data
from minimax_al.campaign.model.learning import Session
from minimax_al.data import FileImages
from minimax_al.data.decoding.letterbox import FITS, in_place
from minimax_al.deployment.model_file import load_trained
from minimax_al.deployment.packaging import preprocessing

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures

WIDE = (32, 18)  # 16:9
RECIPE = TINY_RECIPE | {"encoder": "dconv4"}


@pytest.fixture
def wide(make_campaign, save_images):
    """A campaign of masks of wide images, some of them labelled: a class of its own at each end, which a cut to the
    middle would not see."""
    campaign = make_campaign(
        images=save_images(8, size=WIDE),
        classes=["middle", "left", "right"],
        task="segmentation",
        stored_size=16,
        recipe=RECIPE,
        near_duplicates="off",
    )
    campaign.query(6, "random")
    for number, pick in enumerate(campaign.picks()):
        campaign.label_mask(pick.item, ends(number % 3), author="ann")
    return campaign


def ends(row=0):
    mask = np.zeros((WIDE[1], WIDE[0]), dtype=np.uint8)
    mask[row:, :3], mask[row:, -3:] = 1, 2
    return mask


def workshop(campaign):
    return campaign.context


def test_images_and_masks_are_stretched_whole(wide):
    with wide.store.reading() as connection:
        training_data = read_training_data(connection)
    dataset = build_dataset(wide.context, training_data)
    indices = torch.arange(len(dataset.train))
    (pixels,) = dataset.train.stream([indices])
    for position, name in enumerate(dataset.train.names):
        with Image.open(wide.images / name) as image:
            expected = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(pixels[position].permute(1, 2, 0).numpy(), expected)
    columns = [int((column + 0.5) * 2) for column in range(16)]
    rows = [int((row + 0.5) * 18 / 16) for row in range(16)]
    for position, known in enumerate(training_data.labelled):
        mask = wide.masks.load(known.mask)
        np.testing.assert_array_equal(dataset.train_targets[position].numpy(), mask[np.ix_(rows, columns)])
        assert set(dataset.train_targets[position].unique().tolist()) == {0, 1, 2}


def test_images_of_files_can_be_stretched_and_cut(wide):
    paths = sorted(wide.images.rglob("*.png"))
    whole = FileImages(paths, [path.name for path in paths], 12, workers=0, fit="stretch")
    middle = FileImages(paths, [path.name for path in paths], 12, workers=0)
    for fit, images in (("stretch", whole.subset([3, 1])), ("centre", middle.subset([3, 1]))):
        (pixels,) = images.stream([torch.tensor([1])])
        with Image.open(paths[1]) as image:
            box = None if fit == "stretch" else (7, 0, 25, 18)
            expected = image.resize((12, 12), Image.Resampling.BILINEAR, box=box)
        np.testing.assert_array_equal(pixels[0].permute(1, 2, 0).numpy(), np.asarray(expected))


def test_training_on_centre_crops_has_another_fingerprint(wide, make_campaign, monkeypatch):
    plain = make_campaign(folder="plain", images=wide.images)
    plain.label(["a/000.png", "a/002.png"], "cat", author="ann")
    for campaign, same in ((wide, False), (plain, True)):
        with campaign.store.reading() as connection:
            training_data = read_training_data(connection)
        now = training_data.fingerprint(campaign.settings, {}, {})
        with monkeypatch.context() as patch:
            patch.setitem(FITS, "segmentation", "centre")
            assert (training_data.fingerprint(campaign.settings, {}, {}) == now) is same


def test_a_model_records_its_preprocessing_and_an_older_one_means_centre_crops(wide):
    wide.train("entropy")
    folder = wide.folder / "models/run-0001"
    assert load_trained(folder).fit == "stretch"
    whole = wide.predict(wide.images).images
    assert all((one.mask != 255).all() for one in whole)
    description = json.loads((folder / "model.json").read_text())
    del description["fit"]
    (folder / "model.json").write_text(json.dumps(description))
    older = load_trained(folder)
    assert older.fit == "centre"
    for one in wide.predict(wide.images).images:
        assert one.mask.shape == (18, 32)
        assert (one.mask[:, 7:25] != 255).all()
        assert (one.mask[:, :7] == 255).all()
        assert (one.mask[:, 25:] == 255).all()
    steps = [step["step"] for step in preprocessing(older)["steps"]]
    assert "centre square" in steps


def test_the_preprocessing_of_masks_cuts_nothing(wide):
    wide.train("entropy")
    steps = preprocessing(load_trained(wide.folder / "models/run-0001"))["steps"]
    assert [step["step"] for step in steps] == ["upright", "mode", "resize", "normalise"]
    assert steps[2]["proportions"].startswith("not kept")


def test_predicted_masks_have_the_images_sizes_and_can_be_imported(wide, tmp_path):
    Image.open(wide.images / "a/000.png").resize((45, 20)).save(wide.images / "a/other.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.open(wide.images / "a/002.png").resize((26, 14)).save(wide.images / "a/turned.jpg", exif=turned)
    wide.refresh()
    wide.train("entropy")
    said = wide.predict(wide.images)
    said.write(tmp_path / "said")
    sizes = {}
    for one in said.images:
        with Image.open(tmp_path / "said" / f"{one.path}.png") as mask:
            assert (mask.mode, mask.size) == ("L", one.mask.shape[::-1])
            columns, rows = ([(2 * at + 1) * 16 // (2 * length) for at in range(length)] for length in mask.size)
            np.testing.assert_array_equal(np.asarray(mask), one.square[np.ix_(rows, columns)])
            sizes[one.path] = mask.size
    assert sizes["a/000.png"] == WIDE
    assert (sizes["a/other.png"], sizes["a/turned.jpg"]) == ((45, 20), (14, 26))
    done = wide.import_labels(tmp_path / "said")
    assert done.added + done.changed + done.unchanged == 10


@pytest.mark.parametrize("fit", ["centre", "stretch"])
@pytest.mark.parametrize(("size", "share"), [((10, 20), 1.0), ((21, 10), 0.5), ((7, 7), 0.7), ((5, 13), 1.0)])
def test_each_pixel_has_the_class_predicted_at_its_centre(size, share, fit):
    square = np.arange(16, dtype=np.uint8).reshape(4, 4)
    placed = in_place(square, size, share, 255, fit)
    seen = [share * (min(size) if fit == "centre" else length) for length in size]
    for pixel in np.ndindex(size):
        inside = [(at + 0.5 - (length - wide) / 2) / wide for at, length, wide in zip(pixel, size, seen, strict=True)]
        outside = not all(0 <= part < 1 for part in inside)
        assert placed[pixel] == (255 if outside else square[int(4 * inside[0]), int(4 * inside[1])])


def test_classes_at_the_borders_are_among_the_training_targets(wide):
    session = Session(workshop(wide), "entropy")
    assert session.learner.round.targets[session.learner.round.labelled].unique().tolist() == [0, 1, 2]
