"""Masks by the classes that they show: filter, search and counts; numbers are read from the file's text."""

import numpy as np
import pytest
from PIL import Image

from minimax_al.exploring.explorer import Explorer
from minimax_al.exploring.label_list import LabelFilter, count_labels, find_labels

CLASSES = ["ground", "bird", "sky"]
SHOWN = {"a/000.png": (0,), "b/001.png": (0, 1), "a/002.png": (1, 2)}


@pytest.fixture
def masked(make_campaign):
    campaign = make_campaign(task="segmentation", classes=CLASSES, count=4)
    for path, numbers in SHOWN.items():
        columns = np.resize(np.array([*numbers, 255], np.uint8), 20)
        campaign.label_mask(path, np.tile(columns, (16, 1)), "ann")
    return campaign


def paths(view, **conditions):
    return {image.path for image in view.describe(find_labels(view, LabelFilter(**conditions), "path"))}


def check(campaign, shown):
    view = Explorer(campaign.context).view()
    names = campaign.classes
    for number, name in enumerate(names):
        expected = {path for path, numbers in shown.items() if number in numbers}
        assert paths(view, class_name=name) == paths(view, search=name.upper()) == expected
        assert count_labels(view).classes[name] == len(expected)


def test_masks_are_listed_by_the_classes_that_they_show(masked):
    check(masked, SHOWN)
    masked.label_mask("a/000.png", np.full((16, 20), 2, np.uint8), "bob")
    check(masked, {**SHOWN, "a/000.png": (2,)})


def test_the_list_follows_a_change_of_the_classes(masked):
    masked.reorder_classes(["sky", "ground", "bird"])
    check(masked, {"a/000.png": (1,), "b/001.png": (1, 2), "a/002.png": (0, 2)})


def test_files_without_the_text_are_decoded(masked):
    for path in masked.masks.folder.rglob("*.png"):
        with Image.open(path) as image:
            pixels = np.asarray(image)
        Image.fromarray(pixels).save(path)
    check(masked, SHOWN)


def test_numbers_are_read_without_decoding_the_pixels(masked, monkeypatch):
    monkeypatch.setattr("minimax_al.data.masks.mask_store.MaskFiles.load", lambda *_: pytest.fail("it was decoded"))
    check(masked, SHOWN)
