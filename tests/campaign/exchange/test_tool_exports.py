"""COCO and Label Studio's JSON as tools write them: images that were never pushed, and annotations without outlines."""

import csv
import json
from contextlib import redirect_stdout

import numpy as np
import pytest
from PIL import Image

from minimax_al.errors import DataError
from minimax_al.label_formats.label_studio import names_of_task
from minimax_al.label_formats.run_length import encode_coco_compressed, encode_label_studio


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


@pytest.fixture
def drawn(campaign, tmp_path):
    """Masks with holes, single pixels, void, and one class alone."""
    rng = np.random.default_rng(0)
    for number, path in enumerate(("a/000", "b/001", "a/002", "b/003")):
        mask = rng.choice(np.array([0, 1, 255], dtype=np.uint8), (16, 20), p=[0.5, 0.3, 0.2])
        mask = mask if number < 3 else np.full((16, 20), 1, dtype=np.uint8)
        (tmp_path / "masks" / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{path}.png")
    campaign.import_labels(tmp_path / "masks")
    return campaign


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # within pycocotools
def test_masks_in_coco_are_read_by_pycocotools(drawn, tmp_path):
    """The reference reader gets the same pixels, areas and boxes, and drops nothing as a crowd."""
    coco_module = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    drawn.export("coco", tmp_path / "out.json")
    with redirect_stdout(None):
        read = coco_module.COCO(str(tmp_path / "out.json"))
    assert len(read.getAnnIds(iscrowd=False)) == len(read.getAnnIds()) == 7
    classes = {category["id"]: category["name"] for category in read.loadCats(read.getCatIds())}
    for image in read.loadImgs(read.getImgIds()):
        mask = drawn.masks.load(drawn.labels()[image["file_name"]])
        for annotation in read.loadAnns(read.getAnnIds(image["id"])):
            pixels = read.annToMask(annotation)
            np.testing.assert_array_equal(pixels == 1, mask == drawn.classes.index(classes[annotation["category_id"]]))
            rows, columns = np.nonzero(pixels)
            assert annotation["area"] == pixels.sum()
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert annotation["bbox"] == box


def test_compressed_run_lengths_are_those_of_pycocotools():
    mask_module = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    rng = np.random.default_rng(0)
    for height, width, share in [
        (1, 1, 1.0),
        (1, 7, 0.5),
        (40, 30, 0.5),
        (200, 300, 0.001),
        (64, 64, 0.0),
        (500, 400, 0.99),
    ]:
        mask = rng.random((height, width)) < share
        ours = encode_coco_compressed(mask)
        theirs = mask_module.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert (ours["counts"], ours["size"]) == (theirs["counts"].decode(), list(theirs["size"]))


@pytest.mark.parametrize("kind", ["image", "category"])
def test_ids_that_are_there_twice_are_refused(campaign, write, kind):
    content = coco(OUTLINE)
    rows = content["images" if kind == "image" else "categories"]
    rows.append(rows[0] | {"file_name": "b/001.png", "name": "bird"})
    with pytest.raises(
        DataError, match=rf"labels\.json': the {kind} id \d is there twice, so annotations may be of either"
    ):
        campaign.import_labels(write(content))


def test_coco_next_to_the_folder_of_its_images_is_found(campaign, tmp_path):
    content = coco(OUTLINE)
    content["images"][0]["file_name"] = "images/a/000.png"
    (tmp_path / "result.json").write_text(json.dumps(content))
    assert campaign.import_labels(tmp_path / "result.json").added == 1


def test_coco_without_sizes_takes_those_of_the_images(campaign, write):
    content = coco(OUTLINE)
    del content["images"][0]["width"], content["images"][0]["height"]
    assert campaign.import_labels(write(content)).added == 1


@pytest.fixture
def cvat(campaign, tmp_path):
    """CVAT's export "Segmentation mask 1.1" as it is unzipped."""

    def export(*first):
        colours = {"ground": (128, 64, 128), "bird": (0, 0, 142)}
        lines = ["# label:color_rgb:parts:actions", *first]
        lines += [f"{name}:{','.join(map(str, colour))}::" for name, colour in colours.items()]
        pixels = np.zeros((16, 20, 3), np.uint8)
        pixels[4:8], pixels[8:] = colours["bird"], colours["ground"]
        for folder in ("SegmentationClass", "SegmentationObject"):
            (tmp_path / "cvat" / folder / "a").mkdir(parents=True, exist_ok=True)
            shown = pixels if folder == "SegmentationClass" else pixels // 2
            Image.fromarray(shown).save(tmp_path / "cvat" / folder / "a/000.png")
        (tmp_path / "cvat/ImageSets/Segmentation").mkdir(parents=True, exist_ok=True)
        (tmp_path / "cvat/ImageSets/Segmentation/default.txt").write_text("a/000\n")
        (tmp_path / "cvat/labelmap.txt").write_text("\n".join(lines) + "\n")
        return tmp_path / "cvat"

    return export


@pytest.mark.parametrize("name", ["background", "void", "unlabelled"])
@pytest.mark.parametrize("part", ["", "SegmentationClass"])
def test_masks_of_cvat_are_read_as_they_are_unzipped(campaign, cvat, name, part):
    assert campaign.import_labels(cvat(f"{name}:0,0,0::") / part).added == 1
    mask = campaign.masks.load(campaign.labels()["a/000.png"])
    assert mask[::4, 0].tolist() == [255, 1, 0, 0]


def test_background_of_cvat_is_a_class_where_the_campaign_has_it(make_campaign, save_images, cvat):
    other = make_campaign(
        task="segmentation", classes=["background", "ground", "bird"], folder="other", images=save_images(2)
    )
    other.import_labels(cvat("background:0,0,0::"))
    assert other.masks.load(other.labels()["a/000.png"])[::4, 0].tolist() == [0, 2, 1, 1]


def test_colours_of_cvat_name_the_classes_of_a_new_campaign(make_campaign, save_images, cvat):
    source = cvat("background:0,0,0::")
    other = make_campaign(task="segmentation", classes=None, folder="other", images=save_images(2), labels=source)
    assert other.classes == ("ground", "bird")


@pytest.mark.parametrize(("high", "is_said"), [(255, True), (1, False)])
def test_masks_of_0_and_255_alone_are_pointed_out(campaign, tmp_path, high, is_said):
    mask = np.zeros((16, 20), dtype=np.uint8)
    mask[4:8] = high
    (tmp_path / "masks/a").mkdir(parents=True)
    Image.fromarray(mask).save(tmp_path / "masks/a/000.png")
    notes = campaign.import_labels(tmp_path / "masks").notes
    assert bool(notes) is is_said
    assert all("If 255 means 'bird', replace it by 1" in note for note in notes)


def test_cells_that_excel_would_run_are_pointed_out_or_escaped(make_campaign, save_images, tmp_path):
    images = save_images(3)
    for old, new in (("a/000.png", "=1+1.png"), ("b/001.png", "-rf.png"), ("a/002.png", "'=quoted.png")):
        (images / old).rename(images / new)
    campaign = make_campaign(images=images, classes=["@sum", "+1"])
    for path, name in (("=1+1.png", "@sum"), ("-rf.png", "+1"), ("'=quoted.png", "+1")):
        campaign.label(path, name, author="ann")
    plain = campaign.export("csv", tmp_path / "plain.csv")
    assert plain.notes[0].startswith("5 cells, such as '=1+1.png', would be run as formulas")
    escaped = campaign.export("csv", tmp_path / "escaped.csv", escape_formulas=True)
    assert (escaped.written, escaped.notes) == (3, ())
    with (tmp_path / "escaped.csv").open(newline="", encoding="utf-8") as file:
        assert not any(cell[:1] in tuple("=+-@") for row in csv.reader(file) for cell in row if cell)
    for number, name in enumerate(("plain.csv", "escaped.csv")):
        other = make_campaign(images=images, classes=["@sum", "+1"], folder=f"other {number}")
        other.import_labels(tmp_path / name)
        assert other.labels() == campaign.labels()


def test_outlines_of_the_first_class_only_are_not_reported(campaign, write):
    assert campaign.import_labels(write(coco(OUTLINE | {"category_id": 1}))).notes == ()
