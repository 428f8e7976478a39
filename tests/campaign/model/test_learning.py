import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from minimax_al.campaign import Campaign
from minimax_al.campaign.model.learning import Session
from minimax_al.campaign.store.history import labelled_at
from minimax_al.campaign.store.schema import runs
from minimax_al.deployment.model_file import load_trained
from minimax_al.deployment.prediction import Prediction, Predictions
from minimax_al.errors import CampaignError, CheckpointError, ConfigurationError, DataError, UnknownNameError

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40)}


def coloured_images(root, count=30):
    """Images whose class can be seen: mostly red or mostly green."""
    generator = np.random.default_rng(0)
    root.mkdir()
    for number in range(count):
        noise = generator.integers(-40, 40, (16, 16, 3))
        pixels = np.clip(np.array(list(COLOURS.values())[number % 2]) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02d}.png")
    return root


def class_of(path):
    return list(COLOURS)[int(path[:2]) % 2]


@pytest.fixture
def make_coloured(tmp_path, make_campaign):
    def make(folder="campaign", **options):
        root = tmp_path / "coloured"
        images = root if root.exists() else coloured_images(root)
        settings = {"stored_size": 16, "recipe": TINY_RECIPE, "near_duplicates": "off"} | options
        return make_campaign(images=images, classes=list(COLOURS), folder=folder, **settings)

    return make


def answer(campaign, count=10):
    campaign.query(count)
    for pick in campaign.picks():
        campaign.label(pick.item, class_of(pick.path), author="ann")


def weights(campaign, run=1):
    return load_file(campaign.folder / "models" / f"run-{run:04d}" / "model.safetensors")


def test_from_the_first_label_to_a_package(make_coloured, tmp_path):
    campaign = make_coloured()
    answer(campaign)
    model = campaign.train()
    assert (model.run, model.strategy, model.labels, model.held_out, model.labels_since) == (1, "badge+mal", 8, 2, 0)
    assert model.interval[0] <= model.score <= model.interval[1]
    assert campaign.train().run == 1  # nothing new to learn from
    campaign.query(6, random_share=0.5)
    picks = campaign.picks()
    assert [pick.at_random for pick in picks].count(True) == 3
    chosen = next(pick for pick in picks if not pick.at_random)
    assert chosen.suggestion in COLOURS
    assert 0.5 <= chosen.confidence <= 1
    assert "change the model in another way than the other picks" in chosen.reason
    for pick in picks:
        campaign.label(pick.item, class_of(pick.path), author="ann")
    (campaign.folder / "checkpoints/of the user").mkdir()
    assert campaign.status().model.labels_since == 6
    assert 0 <= campaign.train("entropy").agreement <= 1
    kept = {path.name for path in (campaign.folder / "checkpoints").iterdir()}
    assert "of the user" in kept
    assert len(kept) == 2
    predictions = campaign.predict(campaign.images)
    assert len(predictions.images) == 30
    page = campaign.report().read_text()
    assert "held out for validation" in page
    assert "images only; a figure needs 10" in page
    assert "data:image/png;base64" in page
    campaign.package(tmp_path / "package", onnx=False)
    package = {path.name for path in (tmp_path / "package").iterdir()}
    assert package == {
        *("README.md", "classes.json", "model.json", "model.safetensors", "preprocess.py", "preprocessing.json")
    }
    assert json.loads((tmp_path / "package/classes.json").read_text()) == list(COLOURS)
    card = (tmp_path / "package/README.md").read_text()
    assert "calibration error" in card
    assert "95 % interval" in card


def test_the_model_card_describes_the_training_not_later_labels(make_coloured, tmp_path):
    campaign = make_coloured()
    answer(campaign, 20)
    model = campaign.train("entropy")
    counts = {entry.name: (entry.labels - entry.held_out, entry.held_out) for entry in campaign.status().classes}
    paths = [f"{number:02d}.png" for number in range(30) if f"{number:02d}.png" not in campaign.labels()]
    campaign.label(paths, "red", author="ann")
    campaign.package(tmp_path / "package", onnx=False)
    card = (tmp_path / "package/README.md").read_text()
    assert f"{model.labels} labelled images, chosen and trained by `entropy` (run 1); {model.held_out} more" in card
    assert "The campaign has 10 newer labels, on which it was not trained." in card
    for name, (trained, held_out) in counts.items():
        assert f"| {name} | {trained} | {held_out} | " in card
    assert campaign.train("entropy").labels > model.labels
    campaign.package(tmp_path / "again", onnx=False)
    assert "given since" not in (tmp_path / "again/README.md").read_text()


def test_labels_since_a_training_are_counted(make_coloured):
    """A relabel has come since; a label whose image has changed, or that was taken back, has not."""
    campaign = make_coloured()
    answer(campaign)
    assert campaign.train("entropy").labels_since == 0
    first, second, third, *_ = (pick.item for pick in campaign.picks())
    campaign.label(first, "red", author="bob")
    assert campaign.status().model.labels_since == 1
    campaign.label(second, "red", author="bob")
    campaign.undo("bob")
    campaign.skip(third, author="bob")
    assert campaign.status().model.labels_since == 1
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(campaign.image(first))
    campaign.refresh()
    assert campaign.status().model.labels_since == 0


def test_a_model_of_an_older_version_reports_its_known_fields(make_coloured, tmp_path):
    campaign = make_coloured()
    answer(campaign)
    model = campaign.train("entropy")
    file = campaign.folder / "models/run-0001/model.json"
    description = json.loads(file.read_text())
    del description["facts"]["per_class_counts"], description["facts"]["held_out"]
    file.write_text(json.dumps(description))
    with campaign.store.writing() as connection:
        connection.execute(runs.update().values(last_label=None))
    campaign.query(4, "random")
    campaign.label([pick.item for pick in campaign.picks()], "red", author="ann")
    assert campaign.status().model.labels_since == 4
    campaign.package(tmp_path / "package", onnx=False)
    assert f"{model.held_out} more were held out" in (tmp_path / "package/README.md").read_text()


def test_a_report_has_the_number_of_labels_at_the_close_of_a_round(make_coloured, clock):
    campaign = make_coloured()
    for count in (3, 4):
        campaign.query(count, "random")
        clock.advance(60)
        campaign.label([pick.item for pick in campaign.picks()], "red", author="ann")
        clock.advance(60)
        campaign.close_round()
        clock.advance(60)
    first, second = (pick.item for pick in campaign.picks(1)[:2])
    campaign.label(first, "green", author="bob")
    campaign.undo("ann", second)
    with campaign.store.reading() as connection:
        closed = [campaign.round(number).closed_at for number in (1, 2)]
        assert [labelled_at(connection, moment) for moment in (*closed, None)] == [3, 7, 6]
    page = campaign.report().read_text()
    assert "3 picked, 3 labels" in page
    assert "4 picked, 7 labels" in page


def test_a_resumed_training_equals_an_uninterrupted_one(make_coloured):
    straight, broken = make_coloured("straight"), make_coloured("broken")
    for campaign in (straight, broken):
        answer(campaign)
    straight.train()

    def interrupt(name, done, *_):
        if (name, done) == ("task", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.train(progress=interrupt)
    assert "A training is running, or was interrupted" in broken.status().notes[-1]
    epochs = []
    assert broken.train(progress=lambda name, done, *_: epochs.append((name, done))).run == 1
    assert epochs == [("task", 2)]
    np.testing.assert_equal(weights(broken), weights(straight))


@pytest.mark.parametrize(
    ("error", "raised", "match"),
    [
        (OSError(28, "No space left on device"), CampaignError, r"cannot be kept .* \(No space left on device\)"),
        (ZeroDivisionError("by zero"), ZeroDivisionError, "by zero"),
    ],
)
def test_any_error_marks_the_training_as_failed(make_coloured, monkeypatch, error, raised, match):
    campaign = make_coloured()
    answer(campaign)

    def save(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("minimax_al.campaign.model.learning.save_trained", save)
        with pytest.raises(raised, match=match) as caught:
            campaign.train("entropy")
    with campaign.store.reading() as connection:
        run = connection.execute(runs.select()).one()
    assert (run.state, run.message.removeprefix("ZeroDivisionError: ")) == ("failed", str(caught.value))
    assert campaign.train("entropy").run == run.id


def test_masks_of_images_that_differ_in_their_endings_are_all_written(tmp_path):
    squares = [np.full((2, 2), number, np.uint8) for number in range(2)]
    said = [Prediction(name, None, 1.0, mask) for name, mask in zip(("x.jpg", "x.png"), squares, strict=True)]
    Predictions(tuple(said), ()).write(tmp_path)
    for name, square in zip(("x.jpg.png", "x.png.png"), squares, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / name)), square)


def test_held_out_images_are_never_trained_on(make_coloured):
    campaign = make_coloured()
    answer(campaign, 20)
    place = campaign.context
    session = Session(place, "entropy")
    held_out = {known.path for known in session.training_data.held_out}
    assert len(held_out) >= 2
    assert not held_out & set(session.learner.dataset.train.names)
    assert held_out == set(session.learner.dataset.test.names)
    labelled = session.learner.pool.labelled
    assert [class_of(session.learner.dataset.train.names[i]) for i in labelled.tolist()] == [
        list(COLOURS)[target] for target in session.learner.targets[labelled].tolist()
    ]


def test_training_with_one_class_is_refused_and_remembered(make_coloured):
    campaign = make_coloured()
    campaign.label(["00.png", "02.png"], "red", author="ann")
    with pytest.raises(DataError, match="show 1 of 2 classes: label images of at least two"):
        campaign.train()
    assert "The last training failed: " in campaign.status().notes[-1]
    campaign.label("01.png", "green", author="ann")
    assert campaign.train().labels == 3
    assert campaign.status().notes == ()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda c: c.train(), DataError, "nothing is labelled yet"),
        (lambda c: c.predict(c.images), CampaignError, "no model was trained yet"),
        (lambda c: c.package(c.folder / "out"), CampaignError, "no model was trained yet"),
    ],
)
def test_actions_that_need_a_model_are_refused_before_training(make_coloured, call, error, match):
    with pytest.raises(error, match=match):
        call(make_coloured())


def test_a_wrong_strategy_or_recipe_is_refused(make_coloured):
    campaign = make_coloured()
    campaign.label(["00.png", "01.png"], "red", author="ann")
    with pytest.raises(UnknownNameError, match="unknown strategy 'mla'; did you mean 'mal'"):
        campaign.train("mla")
    before = campaign.settings
    with pytest.raises(ConfigurationError, match="the campaign's recipe: unknown key 'encodr'; did you mean 'encoder'"):
        campaign.configure(recipe={"encodr": "conv4"})
    with pytest.raises(UnknownNameError, match="unknown encoder 'resnet81'"):
        campaign.configure(encoder="resnet81")
    assert Campaign.open(campaign.folder).settings == campaign.settings == before


def test_a_damaged_model_is_reported(make_coloured):
    campaign = make_coloured()
    answer(campaign)
    campaign.train("entropy")
    folder = campaign.folder / "models" / "run-0001"
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_trained(folder)
    description = (folder / "model.json").read_text()
    for damaged in ("", "{}", "[1]", description[:-9], description.replace('"conv4"', '"conv5"')):
        (folder / "model.json").write_text(damaged)
        with pytest.raises(CheckpointError, match="describes no model that this version can build"):
            load_trained(folder)
    (folder / "model.json").unlink()
    with pytest.raises(CheckpointError, match="train again"):
        load_trained(folder)


def test_the_status_ignores_truncated_predictions(make_coloured):
    campaign = make_coloured()
    answer(campaign)
    campaign.train("entropy")
    campaign.train("margin")
    assert campaign.status().model.agreement is not None
    file = campaign.folder / "models" / "run-0002" / "predictions.npz"
    for damaged in (file.read_bytes()[:-30], b"PK", b""):
        file.write_bytes(damaged)
        assert campaign.status().model.agreement is None


GUIDE = Path(__file__).parents[3] / "docs/guides/label_a_folder.md"


def snippet_of_the_guide():
    """Return the code in the guide that uses a package."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    return next(block for block in blocks if "onnxruntime" in block)


def photographs(folder, count=6, size=(640, 480)):
    """JPEG files large enough to be decoded at a reduced size, some of them turned by their metadata."""
    folder.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 8
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        image.save(folder / f"{number}.jpg", **({"exif": exif} if number % 2 else {}))
    return folder


def run_snippet(code, photo, monkeypatch, package):
    """Run a snippet of the guide on another package and another photograph; return its names."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "preprocess", raising=False)
    names = {}
    exec(code.replace("herons-model", str(package)).replace("new-photos/1.jpg", str(photo)), names)
    return names


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_guides_snippet_gives_the_answers_of_predict(make_coloured, tmp_path, monkeypatch, precision, capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    recipe = TINY_RECIPE | {"runtime": {"device": "cpu", "precision": precision}}
    campaign = make_coloured(recipe=recipe, stored_size=48)
    answer(campaign)
    campaign.train("entropy")
    package = campaign.package(tmp_path / "package")
    photos = photographs(tmp_path / "photos")
    code = snippet_of_the_guide()
    for one in campaign.predict(photos).images:
        probabilities = run_snippet(code, photos / one.path, monkeypatch, package)["probabilities"]
        assert list(COLOURS)[probabilities.argmax()] == one.class_name
        assert probabilities.max() == pytest.approx(one.confidence, abs=1e-5)
    figure = re.search(r"weights above by at most (\S+)\.\n", (package / "README.md").read_text())
    assert float(figure[1]) <= 1e-5


def test_the_packages_masks_are_those_of_predict(tmp_path, save_images, make_campaign, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    recipe = TINY_RECIPE | {"encoder": "dconv4", "augmentation": {"crop": 16}}
    campaign = make_campaign(
        images=save_images(8), task="segmentation", classes=["left", "right"], stored_size=20, recipe=recipe
    )
    campaign.query(6)
    for pick in campaign.picks():
        campaign.label_mask(pick.item, np.indices((16, 20))[1].astype(np.uint8) // 10, author="ann")
    campaign.train("entropy")
    package = campaign.package(tmp_path / "package")
    photos = photographs(tmp_path / "photos", count=2, size=(160, 120))
    code = snippet_of_the_guide().rpartition("print(")[0] + "\nfrom preprocess import to_mask"
    for one in campaign.predict(photos).images:
        names = run_snippet(code, photos / one.path, monkeypatch, package)
        mask = names["to_mask"](names["probabilities"], photos / one.path)
        assert mask.shape == one.mask.shape
        assert (mask == 255).any()  # beyond the crop the model sees nothing
        assert (mask == one.mask).mean() > 0.999  # where two classes are equally likely, rounding decides


def test_a_segmentation_model_is_trained(tmp_path, save_images, make_campaign):
    recipe = TINY_RECIPE | {"encoder": "dconv4"}
    campaign = make_campaign(
        images=save_images(10), task="segmentation", classes=["left", "right"], stored_size=16, recipe=recipe
    )
    mask = np.zeros((16, 20), dtype=np.uint8)
    mask[:, 10:] = 1
    campaign.query(6)
    for pick in campaign.picks():
        campaign.label_mask(pick.item, mask, author="ann")
    model = campaign.train("entropy")
    assert (model.labels, model.held_out) == (5, 1)
    assert (model.metric, model.score) == ("miou", model.metrics["miou"])
    assert model.interval is None  # one image says nothing of others
    campaign.query(2, "entropy")
    assert "the model is unsure of it" in campaign.picks()[0].reason
    prediction = campaign.predict(campaign.images).images[0]
    assert prediction.square.shape == prediction.mask.shape[:1] * 2 == (16, 16)
    assert prediction.mask.shape == (16, 20)
    assert prediction.class_name is None
    square = torch.as_tensor(np.unique(prediction.mask))
    assert set(square.tolist()) <= {0, 1}


def test_a_model_is_found_after_reopening(make_coloured, make_campaign):
    campaign = make_coloured()
    answer(campaign)
    before = campaign.train("entropy")
    campaign.close()
    again = make_campaign.track(Campaign.open(campaign.folder))
    assert again.status().model == before
