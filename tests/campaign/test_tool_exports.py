"""COCO and Label Studio's JSON as tools write them, with images that were never pushed, and what is no outline."""

import json

import numpy as np
import pytest

from minimax_al.campaign.exchange.formats.label_studio import names_of_task
from minimax_al.campaign.exchange.formats.run_length import encode_label_studio
from minimax_al.errors import DataError


@pytest.fixture
def campaign(make_campaign):
    """A campaign of masks over images of 20 x 16 pixels."""
    return make_campaign(task="segmentation", count=6, classes=["ground", "bird"])


@pytest.fixture
def write(tmp_path):
    def write_file(content):
        path = tmp_path / "labels.json"
        path.write_text(json.dumps(content))
        return path

    return write_file


def coco(*annotations):
    return {
        "images": [{"id": 7, "file_name": "a/000.png", "width": 20, "height": 16}],
        "categories": [{"id": 1, "name": "ground"}, {"id": 2, "name": "bird"}],
        "annotations": [{"id": 30 + i, "image_id": 7, "category_id": 2} | one for i, one in enumerate(annotations)],
    }


OUTLINE = {"segmentation": [[5, 4, 15, 4, 15, 8, 5, 8]]}
BOX = {"bbox": [5, 4, 10, 4]}


@pytest.mark.parametrize("box", [BOX, BOX | {"segmentation": []}, BOX | {"segmentation": None}])
def test_boxes_without_outline_are_no_masks(campaign, write, box):
    with pytest.raises(DataError, match=r"image 7: annotation 31 of 'bird' has no outline: .* polygon or run lengths"):
        campaign.import_labels(write(coco(OUTLINE, box)))
    assert campaign.labels() == {}


def test_outlines_that_hold_no_pixel_are_no_mask(campaign, write):
    with pytest.raises(DataError, match=r"image 7: its regions hold no pixel"):
        campaign.import_labels(write(coco({"segmentation": [[5, 4, 5.1, 4, 5.1, 4.1]]})))
    with pytest.raises(DataError, match=r"task 1: its regions hold no pixel"):
        campaign.import_labels(write([task({"image": "a/000.png"}, np.zeros((16, 20), bool))]))
    assert campaign.labels() == {}


@pytest.mark.parametrize(
    ("size", "match"),
    [([16, 21], r"image 7: .*region of \[16, 21\].*\[16, 20\]"), ([16, 20], "image 7: .*runs cover 9")],
)
def test_a_wrong_code_is_named_with_its_image(campaign, write, size, match):
    with pytest.raises(DataError, match=match):
        campaign.import_labels(write(coco({"segmentation": {"counts": [4, 5], "size": size}})))


def task(data, drawn, **fields):
    region = {
        "type": "brushlabels",
        "original_width": 20,
        "original_height": 16,
        "value": {"brushlabels": ["bird"], "rle": encode_label_studio(drawn)},
    }
    return {"data": data, "annotations": [{"result": [region]}]} | fields


BIRD = np.zeros((16, 20), dtype=bool)
BIRD[4:8, 5:15] = True


@pytest.mark.parametrize(
    "data",
    [
        {"image": "/data/upload/3/6c39e7e0-top.png"},
        {"image": "https://labels.example/data/upload/12/00ff12ab-top.png"},
        {"image": "s3://bucket/top.png"},
        {"photo": "/data/local-files/?d=top.png"},
        {"note": "a car", "photo": "top.png"},
    ],
)
def test_images_that_were_uploaded_to_label_studio_are_found(make_campaign, save_images, write, data):
    images = save_images(2)
    (images / "a/000.png").rename(images / "top.png")
    campaign = make_campaign(images=images, task="segmentation", classes=["ground", "bird"])
    assert campaign.import_labels(write([task(data, BIRD)])).added == 1
    np.testing.assert_array_equal(campaign.masks.load(campaign.labels()["top.png"]), np.where(BIRD, 1, 255))


def test_what_label_studio_did_not_put_before_a_name_stays():
    assert names_of_task({"image": "/data/local-files/?d=a/6c39e7e0-x.png"}).readings == ("a/6c39e7e0-x.png",)
    assert names_of_task({"image": "/data/upload/3/x.png"}).readings == ("x.png",)
    assert names_of_task({"image": "/home/ann/x.png"}) == ("/home/ann/x.png", ())


def test_the_short_json_of_label_studio_is_told_from_the_whole(campaign, write):
    short = {"id": 4, "image": "/data/upload/3/6c39e7e0-x.png", "label": [{"brushlabels": ["bird"]}], "annotator": 1}
    with pytest.raises(DataError, match=r"task 4 has no annotations: .* export 'JSON', and this may be 'JSON-MIN'"):
        campaign.import_labels(write([short]))
