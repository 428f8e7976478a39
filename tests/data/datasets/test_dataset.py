import dataclasses

import numpy as np
import pytest
import torch

from minimax_al.data import Dataset, ResidentImages, image_statistics, load_dataset, make_imbalanced, subset
from minimax_al.data.datasets.split import stratified_test_mask
from minimax_al.errors import ConfigurationError, DataError, ShapeError


def random_images(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return ResidentImages(torch.randint(0, 256, (count, 3, 4, 4), dtype=torch.uint8, generator=generator))


def classification(**changes):
    fields = {
        "name": "made",
        "task": "classification",
        "class_names": ("a", "b"),
        "train": random_images(6),
        "train_targets": torch.tensor([0, 1, 0, 1, -1, 0]),
        "test": random_images(2),
        "test_targets": torch.tensor([0, 1]),
        "mean": (0.5, 0.5, 0.5),
        "std": (0.2, 0.2, 0.2),
    }
    return Dataset(**(fields | changes))


def cifar_like(per_class=500, classes=100):
    count = per_class * classes
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return classification(
        class_names=tuple(str(i) for i in range(classes)),
        train=ResidentImages(torch.arange(count * 3).to(torch.uint8).view(count, 3, 1, 1)),
        train_targets=(torch.arange(count) % classes)[order],
    )


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"class_names": ("a",)}, DataError, r"1 classes \(a\) leave nothing to tell apart"),
        ({"class_names": ("a", "a")}, DataError, "'a' is there 2 times"),
        ({"task": "detection"}, ConfigurationError, "unknown task 'detection'"),
        (
            {"train_targets": torch.tensor([0, 1])},
            ShapeError,
            r"train targets .* must be \(6,\) torch.int64, not \(2,\)",
        ),
        ({"test_targets": torch.tensor([0.0, 1.0])}, ShapeError, "test targets .* not .* torch.float32"),
        (
            {"train_targets": torch.tensor([0, 1, 2, 0, 0, 0])},
            DataError,
            "a train target is 2, but the 2 classes are 0 to 1",
        ),
        ({"test_targets": torch.tensor([0, -1])}, DataError, "a test target is -1"),
        ({"train_targets": torch.tensor([0, 1, -2, 0, 0, 0])}, DataError, "a train target is -2"),
        ({"train": random_images(0), "train_targets": torch.zeros(0).long()}, DataError, "no training images"),
    ],
)
def test_inconsistent_datasets_are_refused(changes, error, sentence):
    with pytest.raises(error, match=sentence):
        classification(**changes)


def test_segmentation_targets():
    masks = torch.full((6, 4, 4), 255, dtype=torch.uint8)
    masks[:, :2] = 1
    made = classification(task="segmentation", train_targets=masks, test_targets=masks[:2])
    assert made.num_classes == 2
    masks[0, 3, 3] = 2
    with pytest.raises(DataError, match="a train target is 2"):
        classification(task="segmentation", train_targets=masks, test_targets=masks[:2])
    with pytest.raises(ShapeError, match=r"must be \(6, 4, 4\) torch.uint8"):
        classification(task="segmentation", train_targets=masks[:, :3], test_targets=masks[:2])


def test_statistics_equal_numpy():
    images = random_images(300)
    mean, std = image_statistics(images)
    values = images.pixels.double().numpy() / 255
    np.testing.assert_allclose(mean, values.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, values.std((0, 2, 3)), rtol=1e-10)
    assert image_statistics(images, sample=50) == image_statistics(images, sample=50)
    assert image_statistics(images, sample=50) != (mean, std)


def test_a_channel_without_variation_can_be_divided_by():
    flat = ResidentImages(torch.full((4, 3, 2, 2), 7, dtype=torch.uint8))
    assert image_statistics(flat)[1] == (1 / 255,) * 3


def test_the_papers_imbalanced_counts():
    balanced = cifar_like()
    rare = make_imbalanced(balanced, seed=3)
    counts = torch.bincount(rare.train_targets, minlength=100)
    assert sorted(counts.tolist()) == sorted([5, 16, 50, 158, 500] * 20)
    assert len(rare.train) == 20 * (5 + 16 + 50 + 158 + 500) == 14_580
    assert rare.test is balanced.test
    assert rare.name == "made-imbalanced"


def test_imbalance_is_drawn_anew_for_each_seed():
    balanced = cifar_like(20, 10)
    first, again, other = (make_imbalanced(balanced, seed) for seed in (0, 0, 1))
    assert torch.equal(first.train_targets, again.train_targets)
    assert first.train.names == again.train.names
    assert not torch.equal(torch.bincount(first.train_targets), torch.bincount(other.train_targets))


def test_imbalance_keeps_each_image_with_its_target():
    balanced = cifar_like(20, 10)
    rare = make_imbalanced(balanced, 0, ratios=(0.1, 1.0))
    place = [int(name) for name in rare.train.names]
    assert place == sorted(set(place))
    assert torch.equal(rare.train_targets, balanced.train_targets[place])
    assert torch.equal(rare.train.pixels, balanced.train.pixels[place])


@pytest.mark.parametrize("ratios", [(), (0.0, 1.0), (1.5,), (1.0,) * 11])
def test_invalid_ratios_are_refused(ratios):
    with pytest.raises(ConfigurationError, match=r"ratios=.* must each lie in \(0, 1\]"):
        make_imbalanced(cifar_like(4, 10), 0, ratios)


def test_imbalance_needs_known_classes():
    with pytest.raises(DataError, match="'made' cannot be made imbalanced: every training image needs one known class"):
        make_imbalanced(classification(), 0, (0.5, 1.0))


def test_subset():
    part = subset(classification(), [5, 1], name="two")
    assert part.name == "two"
    assert part.train.names == ("00005", "00001")
    assert part.train_targets.tolist() == [0, 1]


def test_the_stratified_split_keeps_proportions_and_one_of_each():
    targets = np.array([0] * 50 + [1] * 30 + [2] * 20 + [3] + [-1] * 40)
    mask = stratified_test_mask(targets, 0.2, seed=1)
    assert mask.sum() == 20
    assert not mask[targets == -1].any()
    assert not mask[targets == 3].any()
    counts = [int(mask[targets == c].sum()) for c in range(3)]
    assert all(abs(count - 0.2 * n) <= 1 for count, n in zip(counts, (50, 30, 20), strict=True))
    np.testing.assert_array_equal(mask, stratified_test_mask(targets, 0.2, seed=1))
    assert (mask != stratified_test_mask(targets, 0.2, seed=2)).any()
    assert stratified_test_mask(targets, 97, seed=0).sum() == 97  # all but one of each class


@pytest.mark.parametrize("test_size", [1.0, -0.1, 3])
def test_an_impossible_split_is_refused(test_size):
    with pytest.raises(ConfigurationError, match=r"test_size=.* of 4 labelled images in 2 classes cannot be kept"):
        stratified_test_mask(np.array([0, 0, 1, 1]), test_size, seed=0)


def test_datasets_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError, match="name"):
        load_dataset("digits").name = "other"
