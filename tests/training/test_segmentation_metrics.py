import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from minimax_al.errors import ShapeError
from minimax_al.training.segmentation_metrics import class_iou, confusion_matrix, mean_iou, pixel_accuracy


def masks(seed, classes, shown, shape=(3, 7, 5)):
    """Predictions and targets among the classes `shown`, some pixels void."""
    generator = torch.Generator().manual_seed(seed)
    choices = torch.randperm(classes, generator=generator)[:shown]
    predicted, targets = (choices[torch.randint(0, shown, shape, generator=generator)] for _ in range(2))
    targets[torch.rand(shape, generator=generator) < 0.2] = 255
    return predicted, targets


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 7), st.data())
def test_equal_to_torchmetrics_whatever_classes_are_absent(seed, classes, data):
    predicted, targets = masks(seed, classes, data.draw(st.integers(1, classes)))
    confusion = confusion_matrix(predicted, targets, classes)
    macro = MulticlassJaccardIndex(classes, ignore_index=255, average="macro")(predicted, targets)
    assert mean_iou(confusion) == pytest.approx(float(macro), abs=1e-6)
    each = MulticlassJaccardIndex(classes, ignore_index=255, average="none")(predicted, targets).tolist()
    assert [iou or 0.0 for iou in class_iou(confusion)] == pytest.approx(each, abs=1e-6)
    micro = MulticlassAccuracy(classes, ignore_index=255, average="micro")(predicted, targets)
    assert pixel_accuracy(confusion) == pytest.approx(float(micro), abs=1e-6)


def test_counts_pixel_by_pixel_and_batches_add_up():
    predicted, targets = masks(0, 4, 4)
    by_hand = np.zeros((4, 4), dtype=int)
    for p, t in zip(predicted.flatten().tolist(), targets.flatten().tolist(), strict=True):
        if t != 255:
            by_hand[t, p] += 1
    whole = confusion_matrix(predicted, targets.to(torch.uint8), 4)
    assert (whole.dtype, whole.tolist()) == (torch.int64, by_hand.tolist())
    assert torch.equal(whole, sum(confusion_matrix(predicted[[i]], targets[[i]], 4) for i in range(3)))


def test_void_pixels_alone_say_nothing():
    nothing = confusion_matrix(torch.zeros(2, 3, 3, dtype=torch.int64), torch.full((2, 3, 3), 255), 3)
    assert class_iou(nothing) == [None, None, None]
    assert math.isnan(mean_iou(nothing))
    assert math.isnan(pixel_accuracy(nothing))


def test_shapes_must_agree():
    with pytest.raises(ShapeError, match=r"predictions \(2, 3\) and targets \(3, 2\) must agree"):
        confusion_matrix(torch.zeros(2, 3), torch.zeros(3, 2), 2)
