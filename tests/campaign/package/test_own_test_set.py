"""A test set of the user's own: the numbers are those of scikit-learn on the predictions, whatever form it has."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

from minimax_al.cli import main
from minimax_al.errors import CampaignError, ConfigurationError, DataError

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40)}


def save_colours(root, count, seed):
    """Images whose class can be seen, but for every fourth, which is half of each."""
    noise = np.random.default_rng(seed)
    root.mkdir(parents=True)
    for number in range(count):
        colour = np.array(list(COLOURS.values())[number % 2])
        if number % 4 == 3:
            colour = np.array([120, 120, 40])
        pixels = np.clip(colour + noise.integers(-40, 40, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02d}.png")
    return root


@pytest.fixture
def trained(tmp_path, make_campaign):
    images = save_colours(tmp_path / "images", 20, 0)
    campaign = make_campaign(
        images=images, classes=list(COLOURS), stored_size=16, recipe=TINY_RECIPE, near_duplicates="off"
    )
    for number in range(12):
        campaign.label(f"{number:02d}.png", list(COLOURS)[number % 2], author="ann")
    campaign.train("entropy")
    return campaign


@pytest.fixture
def photos(tmp_path):
    return save_colours(tmp_path / "test", 30, 1)


def class_folders(tmp_path, photos):
    for file in sorted(photos.iterdir()):
        target = tmp_path / "sorted" / list(COLOURS)[int(file.stem) % 2] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return tmp_path / "sorted"


def table(tmp_path, photos):
    rows = [f"test/{file.name},{list(COLOURS)[int(file.stem) % 2]}" for file in sorted(photos.iterdir())]
    (tmp_path / "test.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    return tmp_path / "test.csv"


@pytest.mark.parametrize("form", [class_folders, table])
def test_the_figures_are_those_of_the_predictions(trained, photos, tmp_path, form):
    source = form(tmp_path, photos)
    result = trained.evaluate(source, out=tmp_path / "predictions.csv")
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    said = {one.path: one for one in trained.predict(photos).images}
    for row in rows:
        one = said[row["path"].rpartition("/")[2]]
        assert row["predicted"] == one.class_name
        assert float(row["confidence"]) == pytest.approx(one.confidence, abs=1e-5)
    truth, predicted = [row["label"] for row in rows], [row["predicted"] for row in rows]
    assert result.images == len(rows) == 30
    assert result.score == pytest.approx(accuracy_score(truth, predicted))
    assert result.confusion == tuple(map(tuple, confusion_matrix(truth, predicted, labels=list(COLOURS)).tolist()))
    assert result.interval[0] < result.score < result.interval[1] or result.score in {0, 1}
    wrong = [row["label"] != row["predicted"] for row in rows]
    assert wrong == sorted(wrong, reverse=True)  # wrong ones first
    assert result.trained_on == 0


def test_masks_are_measured_in_the_images_own_size(tmp_path, save_images, make_campaign):
    campaign = make_campaign(
        images=save_images(8),
        task="segmentation",
        classes=["left", "right", "nowhere"],
        stored_size=16,
        recipe=TINY_RECIPE | {"encoder": "dconv4"},
    )
    mask = np.indices((16, 20))[1].astype(np.uint8) // 10
    campaign.query(6)
    for pick in campaign.picks():
        campaign.label_mask(pick.item, mask, author="ann")
    campaign.train("entropy")
    photos = save_images(5, "test", size=(30, 24), first=100)
    truth = np.indices((24, 30))[1].astype(np.uint8) // 15
    truth[:3] = 255  # nobody knows
    for file in list(photos.rglob("*.png")):
        target = tmp_path / "masks" / file.relative_to(photos).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(truth).save(target)
    result = campaign.evaluate(photos, tmp_path / "masks")
    predicted = np.stack([one.mask for one in campaign.predict(photos).images])
    counted = np.broadcast_to(truth != 255, predicted.shape)
    known = np.broadcast_to(truth, predicted.shape)[counted]
    shown = sorted({*known.tolist(), *predicted[counted].tolist()})
    expected = jaccard_score(known, predicted[counted], average=None, labels=shown)
    assert result.score == pytest.approx(expected.mean())
    assert result.metric_name == "mIoU"
    assert result.interval[0] <= result.score <= result.interval[1]
    with pytest.raises(ConfigurationError, match="give the folder of true masks, too"):
        campaign.evaluate(photos)


def test_copies_of_training_images_are_counted(trained, tmp_path):
    (tmp_path / "sorted/red").mkdir(parents=True)
    (tmp_path / "sorted/green").mkdir()
    held_out = trained.status().held_out
    for number in range(12):
        name = f"{number:02d}.png"
        shutil.copy(trained.images / name, tmp_path / "sorted" / list(COLOURS)[number % 2] / name)
    assert trained.evaluate(tmp_path / "sorted").trained_on == 12 - held_out


def test_the_card_and_the_command_have_the_result(trained, photos, tmp_path, capsys):
    source = table(tmp_path, photos)
    assert main(["evaluate", str(trained.folder), "--images", str(source)]) == 0
    shown = capsys.readouterr().out
    assert "on 30 images of" in shown
    assert "red" in shown
    trained.package(tmp_path / "package", onnx=False)
    card = (tmp_path / "package/README.md").read_text()
    result = trained.evaluate(source)
    assert f"On a test set of 30 images: accuracy {100 * result.score:.1f} %" in card
    assert "harder" not in card


def test_broken_images_are_set_aside(trained, photos, tmp_path):
    source = class_folders(tmp_path, photos)
    (source / "red/broken.jpg").write_text("no image")
    result = trained.evaluate(source)
    assert (result.images, [path for path, _ in result.set_aside]) == (30, ["red/broken.jpg"])


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["00.png,blue"], "'blue' is not a class of the model, whose classes are red, green"),
        (["gone.png,red"], "the image 'gone.png' is not there"),
        (["00.png,"], "has no test image with a label"),
    ],
)
def test_a_test_set_that_cannot_be_used_is_refused(trained, photos, lines, sentence):
    (photos / "labels.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    with pytest.raises(DataError, match=sentence):
        trained.evaluate(photos / "labels.csv")
    with pytest.raises(ConfigurationError, match="masks were given"):
        trained.evaluate(photos / "labels.csv", photos)


def test_without_a_model_there_is_nothing_to_measure(make_campaign, tmp_path):
    with pytest.raises(CampaignError, match="no model was trained yet"):
        make_campaign().evaluate(tmp_path)
