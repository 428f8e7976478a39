import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minimax_al.campaign.store.schema import labels
from minimax_al.errors import CampaignError, ConfigurationError, DataError, UnknownNameError
from minimax_al.label_formats import usual_format
from minimax_al.label_formats.coco import region

from ...support.fakes import random_image  # noqa: TID252 - the same images


@pytest.fixture
def write(tmp_path):
    """Writes a text or JSON file and returns its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write_file


def history(campaign):
    with campaign.store.reading() as connection:
        return connection.execute(labels.select()).all()


def coco(annotations, **image):
    return {
        "images": [{"id": 7, "file_name": "a/000.png", "width": 20, "height": 16} | image],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
        "annotations": [{"id": i, "image_id": 7} | one for i, one in enumerate(annotations)],
    }


def task(path="a/000.png", choice="cat", **annotation):
    result = [{"type": "choices", "value": {"choices": [choice]}}]
    return {"id": 5, "data": {"path": path}, "annotations": [{"result": result} | annotation]}


def test_a_table_gives_labels_and_leaves_blanks(campaign, write, clock):
    found = campaign.import_labels(write("given.csv", "path,label\na/000.png,cat\nb/001.png,\n./a/002.png,n/a\n"))
    assert campaign.labels() == {"a/000.png": "cat", "a/002.png": "n/a"}
    assert (found.format, found.added, found.changed, found.unchanged) == ("csv", 2, 0, 0)
    assert {(row.author, row.at) for row in history(campaign)} == {("import", clock())}


@pytest.mark.parametrize(
    "content",
    [
        "Path,Label\na/000.png,cat\nb/001.png,dog\n",
        "filename;class\na\\000.png;cat\nb\\001.png;dog\n",
        "path,label,,\na/000.png,cat,,\nb/001.png,dog,,\n",
        "path,label,author\na/000.png,cat,ann\nb/001.png,dog,ann\na/000.png,cat,bob\n",
    ],
)
def test_tables_of_other_programs(campaign, write, content):
    campaign.import_labels(write("given.csv", content))
    assert campaign.labels() == {"a/000.png": "cat", "b/001.png": "dog"}


def test_paths_may_be_absolute_or_start_at_the_table(campaign, write):
    inside = write("images/given.csv", f"path,label\na/000.png,cat\n{campaign.images}/b/001.png,dog\n")
    beside = write("given.csv", "path,label\nimages/a/002.png,dog\n")
    campaign.import_labels(inside)
    campaign.import_labels(beside)
    assert campaign.labels() == {"a/000.png": "cat", "b/001.png": "dog", "a/002.png": "dog"}


def test_the_same_file_twice_adds_nothing_and_another_label_is_a_new_row(campaign, write):
    source = write("given.csv", "path,label\na/000.png,cat\nb/001.png,dog\n")
    campaign.import_labels(source)
    again = campaign.import_labels(source)
    assert (again.added, again.changed, again.unchanged) == (0, 0, 2)
    changed = campaign.import_labels(write("other.csv", "path,label\na/000.png,dog\n"))
    assert (changed.added, changed.changed) == (0, 1)
    assert len(history(campaign)) == 3


def test_create_classes_adds_unknown_classes(campaign, write):
    source = write("given.csv", "path,label\na/000.png,heron\nb/001.png,cat\na/002.png,egret\n")
    assert campaign.import_labels(source, create_classes=True).new_classes == ("heron", "egret")
    assert campaign.classes == ("cat", "dog", "n/a", "heron", "egret")


def test_an_import_answers_the_open_round(campaign, write):
    campaign.query(2)
    campaign.lease("ann", 2)
    rows = "".join(f"{pick.path},cat\n" for pick in campaign.picks())
    campaign.import_labels(write("given.csv", f"path,label\n{rows}"))
    assert not campaign.round().is_open
    assert all(pick.lease_holder is None for pick in campaign.picks())


def test_a_folder_of_class_folders_is_known_by_content(campaign, tmp_path):
    for class_name, name, copy in (("cat", "a/000.png", "x.png"), ("n%2Fa", "b/001.png", "a/000.png")):
        target = tmp_path / "sorted" / class_name / copy
        target.parent.mkdir(parents=True)
        shutil.copy(campaign.images / name, target)
    (tmp_path / "sorted/cat/notes.txt").write_text("no image")
    assert campaign.import_labels(tmp_path / "sorted").format == "imagefolder"
    assert campaign.labels() == {"a/000.png": "cat", "b/001.png": "n/a"}


@pytest.mark.parametrize("parts", [("train", "valid"), ("Training", "Test"), ("export/train", "export/val")])
def test_the_parts_of_a_split_are_not_classes(campaign, tmp_path, parts):
    for part, class_name, name in ((0, "cat", "a/000.png"), (0, "dog", "b/001.png"), (1, "dog", "a/002.png")):
        target = tmp_path / "sorted" / parts[part] / class_name / Path(name).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(campaign.images / name, target)
    assert campaign.import_labels(tmp_path / "sorted", create_classes=True).new_classes == ()
    assert campaign.labels() == {"a/000.png": "cat", "b/001.png": "dog", "a/002.png": "dog"}


def test_folders_of_the_same_names_are_not_imported_as_classes(campaign, tmp_path):
    for part in ("first", "second"):
        for class_name in ("cat", "dog"):
            (tmp_path / "sorted" / part / class_name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"'first', 'second'.*look like the parts of a split"):
        campaign.import_labels(tmp_path / "sorted", create_classes=True)
    assert campaign.classes == ("cat", "dog", "n/a")


def test_the_images_own_folders_may_be_the_classes(make_campaign, save_images):
    campaign = make_campaign(images=save_images(4), classes=["a", "b"])
    campaign.import_labels(campaign.images)
    assert campaign.labels() == {"a/000.png": "a", "a/002.png": "a", "b/001.png": "b", "b/003.png": "b"}


def test_label_studio_and_coco_as_other_programs_write_them(campaign, write):
    late = {"result": [{"type": "choices", "value": {"choices": ["dog"]}}], "updated_at": "2026-02-01"}
    cancelled = {"result": [], "was_cancelled": True}
    tasks = [
        task(completed_by={"email": "ann@example.org"}),
        {"data": {"image": "/data/local-files/?d=b%2F001.png"}, "annotations": [task()["annotations"][0], late]},
        {"data": {"image": "a/002.png"}, "annotations": [cancelled]},
        {"data": {"image": "b/003.png"}},
    ]
    assert campaign.import_labels(write("export.json", tasks)).format == "label-studio"
    assert campaign.labels() == {"a/000.png": "cat", "b/001.png": "dog"}
    assert {row.author for row in history(campaign)} == {"ann@example.org", "import"}
    annotated = coco([{"category_id": 4}, {"category_id": 4}], file_name="b/005.png")
    assert campaign.import_labels(write("coco.json", annotated)).format == "coco"
    assert campaign.labels()["b/005.png"] == "dog"


TABLE = "path,label\nb/001.png,cat\n"
BAD = [
    ("x.csv", TABLE + "a/000.png,cta\n", r"x\.csv', line 3: unknown class 'cta'; did you mean 'cat'\?"),
    ("x.csv", TABLE + "a/000.png,zebra\n", r"line 3: unknown class 'zebra'.*--create-classes"),
    ("x.csv", TABLE + "../secret.png,cat\n", r"line 3: '\.\./secret\.png' is outside of the campaign's images"),
    ("x.csv", TABLE + "/etc/secret.png,cat\n", r"line 3: '/etc/secret\.png' is outside"),
    ("x.csv", TABLE + "a/00.png,cat\n", r"line 3: 'a/00\.png' is not an image .*did you mean 'a/0\d0\.png'"),
    ("x.csv", TABLE + "b/001.png,dog\n", r"line 3: 'b/001\.png' is 'dog' here but 'cat' in .*line 2: keep one"),
    ("x.csv", TABLE + "b/../b/001.png,dog\n", r"line 3: .* is 'dog' here but 'cat' in .*line 2: keep one"),
    ("x.csv", "path,label,answer\nb/001.png,cat,unsure\n", r"line 2: the answer is 'unsure', but there is a label"),
    ("x.csv", "path,label\na/000.png,\n", r"has no labels: nothing was imported"),
    ("x.csv", "picture,label\na/000.png,cat\n", r"line 1: no column 'path'"),
    ("x.txt", TABLE, r"ends in '\.txt': labels come as"),
    ("x.json", "{", r"is not JSON"),
    ("x.json", {"images": []}, r"is not in COCO's form .*: 'categories' is missing"),
    ("x.json", coco([{"category_id": 3}, {"category_id": 4}]), r"annotations of 'cat' and 'dog' disagree"),
    ("x.json", coco([{"category_id": 9}]), r"image 7: unknown category 9"),
    ("x.json", coco([{"category_id": 3, "image_id": 8}]), r"an annotation \(0\) is of image 8, which is not listed"),
    ("x.json", [task(), task(choice="dog")], r"'a/000\.png' is 'dog' here but 'cat' in"),
    ("x.json", [task(choice="heron")], r"task 5: unknown class 'heron'"),
    ("x.json", ["text"], r"task 1 is not in Label Studio's form"),
    ("x.json", [{"data": {}, "annotations": task()["annotations"]}], r"form: 'data' has no link to an image"),
    ("x.json", coco([{"category_id": 3}]) | {"annotations": None}, "'annotations' is null, and it should be a list"),
    ("x.json", coco([{"category_id": 3}]) | {"images": {"7": {}}}, "'images' is {.*}, and it should be a list of obj"),
    ("x.json", coco([{"category_id": 3}]) | {"images": ["a.png"]}, "'images' has the entry \"a.png\", and each should"),
    (
        "x.json",
        coco([{"category_id": 3, "image_id": [7]}]),
        r"'image_id' is \[7\], and it should be a number or a text",
    ),
    ("x.json", coco([{}]), "image 7, annotation 0: 'category_id' is missing"),
    ("x.json", coco([{"category_id": 3}], file_name=None), "image 7: 'file_name' is null, and it should be the name"),
    ("x.json", [{**task(), "data": None}], "form: 'data' is null, and it should be an object with the link"),
    ("x.json", [{**task(), "annotations": "x"}], "form: 'annotations' is \"x\", and it should be a list of objects"),
    (
        "x.json",
        [{**task(), "annotations": [None]}],
        "form: 'annotations' has the entry null, and each should be an obj",
    ),
    ("x.json", [task(choice=None)], "task 5 has the choice null, which is not the name of a class"),
    ("x.json", [task(choice=["cat"])], r"task 5 has the choice \[\"cat\"\], which is not the name of a class"),
    ("x.json", [task(result=[{"type": "taxonomy"}])], "task 5 has no choice, but taxonomy: classes come from choices"),
    ("x.json", [task(result={"type": "choices"})], "form: 'result' is {.*}, and it should be a list of objects"),
]


@pytest.mark.parametrize(("name", "content", "match"), BAD)
def test_an_invalid_label_cancels_the_import(campaign, write, name, content, match):
    with pytest.raises(DataError, match=match):
        campaign.import_labels(write(name, content))
    assert history(campaign) == []
    assert campaign.classes == ("cat", "dog", "n/a")


@pytest.mark.parametrize("ids", [("7", 3), (7.0, "3"), ("7", 3.0)])
def test_ids_may_be_numbers_or_texts(campaign, write, ids):
    image_id, category_id = ids
    campaign.import_labels(write("coco.json", coco([{"image_id": image_id, "category_id": category_id}])))
    assert campaign.labels() == {"a/000.png": "cat"}


@pytest.mark.parametrize("start", ["", "\n" * 2000])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_list_of_tasks_is_recognised_in_every_encoding(campaign, tmp_path, encoding, start):
    result = [{"type": "choices", "value": {"choices": "cat"}}]  # one choice as some exports write it
    path = tmp_path / "export.json"
    path.write_bytes((start + json.dumps([task(result=result)])).encode(encoding))
    assert campaign.import_labels(path).format == "label-studio"
    assert campaign.labels() == {"a/000.png": "cat"}


def test_a_prefix_that_no_name_has_is_not_said_to_be_left_out(campaign, write):
    assert campaign.import_labels(write("x.csv", "path,label\na/000.png,cat\n"), strip_prefix="zzz/").notes == ()
    found = campaign.import_labels(write("y.csv", "path,label\nzzz/b/001.png,cat\n"), strip_prefix="zzz/")
    assert found.notes == ("The names begin with 'zzz/', which the campaign's paths do not have: it was left out.",)


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        ("x.csv", "classification", "csv"),
        ("x.PARQUET", "classification", "parquet"),
        ("x", "classification", "csv"),
        ("x", "segmentation", "masks"),
    ],
)
def test_an_exports_format_follows_its_ending(name, task, expected):
    assert usual_format(Path(name), task) == expected
    with pytest.raises(ConfigurationError, match=r"x\.json' may be coco or label-studio: say which with --format"):
        usual_format(Path("x.json"), task)


def test_tables_of_tabs_have_their_own_ending_and_pipes_are_named(campaign, write, tmp_path):
    assert campaign.import_labels(write("given.tsv", "path\tlabel\na/000.png\tcat\n")).added == 1
    os.mkfifo(tmp_path / "pipe.csv")
    for name in (None, "csv"):
        with pytest.raises(DataError, match=r"pipe\.csv' is a pipe or a device: save the labels to a file first"):
            campaign.import_labels(tmp_path / "pipe.csv", format=name)


def test_a_class_of_a_file_that_is_refused_does_not_join(campaign, write):
    source = write("given.csv", "path,label\na/000.png,heron\nnowhere.png,cat\n")
    with pytest.raises(DataError, match=r"line 3: 'nowhere\.png' is not an image"):
        campaign.import_labels(source, create_classes=True)
    assert campaign.classes == ("cat", "dog", "n/a")
    assert history(campaign) == []


def test_two_names_of_one_image_that_disagree_are_refused(campaign, write):
    source = write("given.csv", f"path,label\na/000.png,cat\n{campaign.images}/a/000.png,dog\n")
    with pytest.raises(DataError, match=r"line 3: 'a/000\.png' is 'dog' here but 'cat' in .*line 2: keep one"):
        campaign.import_labels(source)
    assert history(campaign) == []


def test_copies_of_unknown_images_are_refused(campaign, tmp_path):
    (tmp_path / "sorted/cat").mkdir(parents=True)
    random_image(99).save(tmp_path / "sorted/cat/000.png")
    with pytest.raises(DataError, match="it is not a copy of an image in"):
        campaign.import_labels(tmp_path / "sorted")


def test_a_pipe_among_copies_of_images_is_refused_and_not_waited_for(campaign, tmp_path):
    (tmp_path / "sorted/cat").mkdir(parents=True)
    os.mkfifo(tmp_path / "sorted/cat/000.png")
    with pytest.raises(DataError, match="it is not a copy of an image in"):
        campaign.import_labels(tmp_path / "sorted")


def test_a_link_that_leads_out_of_the_folder_is_outside(campaign, write, tmp_path):
    random_image(99).save(tmp_path / "outside.png")
    (tmp_path / "elsewhere").mkdir()
    source = write("x.csv", f"path,label\n{tmp_path}/elsewhere/../outside.png,cat\n")
    with pytest.raises(DataError, match="is outside of the campaign's images"):
        campaign.import_labels(source)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda c: c.import_labels("nowhere.csv"), DataError, "there is no 'nowhere.csv'"),
        (lambda c: c.import_labels("x.csv", format="xml"), UnknownNameError, "unknown format 'xml'"),
        (lambda c: c.export("cvs", "x"), UnknownNameError, "unknown format 'cvs'; did you mean 'csv'"),
        (lambda c: c.export("masks", "x"), ConfigurationError, "cannot hold labels of classification: choose one"),
        (lambda c: c.import_labels(c.folder / "empty"), DataError, "has no class folders"),
    ],
)
def test_invalid_sources_and_formats_are_refused(campaign, call, error, match):
    (campaign.folder / "empty").mkdir()
    with pytest.raises(error, match=match):
        call(campaign)


@pytest.mark.parametrize(
    "refused",
    [
        ("x.json", "{", "coco", r"x\.json' is not JSON"),
        ("x.json", "[" * 100_000, "coco", r"x\.json' is not JSON"),
        ("x.json", "3", "coco", r"x\.json' is not in COCO's form"),
        ("x.json", "{", "label-studio", r"x\.json' is not JSON"),
        ("x.json", "3", "label-studio", r"x\.json' is not in Label Studio's form: its export 'JSON' is a list"),
        ("x.json", "[3]", "label-studio", r"task 1 is not in Label Studio's form"),
        ("x.json", '\ufeff \n[{"id": 1, "data": {}}]', None, "not JSON|not in Label Studio's form|has no labels"),
        ("x.json", "[]", "imagefolder", "is a file, and labels in the format 'imagefolder' are a folder"),
        ("x/y.csv", "path,label", "csv", "is a folder, and labels in the format 'csv' are a file"),
        ("x/y.csv", "path,label", "coco", "is a folder, and labels in the format 'coco' are a file"),
    ],
)
def test_a_format_by_name_is_refused_in_a_sentence(campaign, write, refused):
    name, content, given, match = refused
    file = write(name, content)
    with pytest.raises(DataError, match=match):
        campaign.import_labels(file.parent if "/" in name else file, format=given)
    assert campaign.labels() == {}


def test_a_missing_source_is_refused_in_every_format(campaign):
    for name in ("csv", "imagefolder", "coco", "label-studio"):
        with pytest.raises(DataError, match="there is no 'nowhere'"):
            campaign.import_labels("nowhere", format=name)


def test_an_export_never_overwrites_a_folder(campaign, tmp_path):
    campaign.label(1, "cat", author="ann")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(CampaignError, match="already exists and is not an empty folder"):
        campaign.export("imagefolder", tmp_path / "out")
    (campaign.images / "a/000.png").unlink()
    campaign.label("b/001.png", "dog", author="ann")
    done = campaign.export("imagefolder", tmp_path / "new")
    assert done.written == 1
    assert done.left_out == (f"'a/000.png' is gone from {str(campaign.images)!r}",)
    assert [path.name for path in (tmp_path / "new").rglob("*.png")] == ["001.png"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.fixture
def masked(make_campaign):
    """A campaign of masks over images of 20 x 16 pixels."""
    return make_campaign(task="segmentation", count=6, classes=["ground", "bird"])


def mask_of(campaign, path):
    return campaign.masks.load(campaign.labels()[path])


def test_masks_are_found_by_the_images_names(masked, tmp_path):
    mask = np.zeros((16, 20), dtype=np.uint8)
    mask[4:8, 5:15] = 1
    mask[0] = 255
    (tmp_path / "masks" / "a").mkdir(parents=True)
    Image.fromarray(mask).save(tmp_path / "masks/a/000.png")
    palette = Image.fromarray(mask)
    palette.putpalette([255, 0, 0] * 256)  # all numbers red: it is they that count
    palette.save(tmp_path / "masks/a/002.png.png")
    assert masked.import_labels(tmp_path / "masks").added == 2
    np.testing.assert_array_equal(mask_of(masked, "a/000.png"), mask)
    np.testing.assert_array_equal(mask_of(masked, "a/002.png"), mask)


@pytest.mark.parametrize(
    ("mask", "match"),
    [
        (
            np.zeros((20, 15), np.uint8),
            r"the mask has 15 x 20 pixels and its image 20 x 16: save it in the image's size$",
        ),
        (np.zeros((20, 16), np.uint8), r"has 16 x 20 pixels and its image 20 x 16: .*as its EXIF data turn it$"),
        (np.full((16, 20), 7, np.uint8), r"7.* the 2 classes are 0 to 1"),
        (np.full((16, 20, 3), (1, 0, 0), np.uint8), r"is in colour \(\(1, 0, 0\) at pixel"),
    ],
)
def test_an_invalid_mask_cancels_the_import(masked, tmp_path, mask, match):
    (tmp_path / "masks/a").mkdir(parents=True)
    Image.fromarray(np.zeros((16, 20), np.uint8)).save(tmp_path / "masks/a/000.png")
    Image.fromarray(mask).save(tmp_path / "masks/a/002.png")
    with pytest.raises(DataError, match=match):
        masked.import_labels(tmp_path / "masks")
    assert masked.labels() == {}
    assert not any(file.is_file() for file in masked.folder.rglob("*.png"))  # nothing waits for ever
    assert not any(path.name.startswith(".masks") for path in masked.folder.iterdir())
    if mask.ndim == 2:
        with pytest.raises(DataError, match=match):
            masked.label_mask("a/000.png", mask, author="ann")


def test_two_masks_of_one_image_are_refused(masked, tmp_path):
    (tmp_path / "masks/a").mkdir(parents=True)
    Image.fromarray(np.zeros((16, 20), np.uint8)).save(tmp_path / "masks/a/000.png")
    Image.fromarray(np.ones((16, 20), np.uint8)).save(tmp_path / "masks/a/000_L.png")
    with pytest.raises(DataError, match=r"000_L\.png': 'a/000\.png' has another mask in '.*000\.png': keep one$"):
        masked.import_labels(tmp_path / "masks")


def test_a_mask_that_cannot_be_written_is_reported(masked, monkeypatch):
    def no_room(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minimax_al.data.masks.mask_store.write_durably", no_room)
    with pytest.raises(CampaignError, match=r"cannot be written \(No space left on device\).*nothing was changed"):
        masked.label_mask("a/000.png", np.zeros((16, 20), np.uint8), author="ann")
    assert masked.labels() == {}


def test_a_mask_that_may_be_of_two_images_is_refused(make_campaign, save_images, tmp_path):
    images = save_images(2)
    random_image(50).save(images / "a/000.bmp")
    campaign = make_campaign(images=images, task="segmentation")
    (tmp_path / "masks/a").mkdir(parents=True)
    Image.fromarray(np.zeros((16, 20), np.uint8)).save(tmp_path / "masks/a/000.png")
    with pytest.raises(DataError, match=r"it may be of 'a/000\.bmp' or of 'a/000\.png'"):
        campaign.import_labels(tmp_path / "masks")


def test_polygons_of_coco_and_label_studio_are_filled(masked, write):
    square = {"category_id": 4, "segmentation": [[5, 4, 15, 4, 15, 8, 5, 8]]}
    content = coco([{"category_id": 3, "segmentation": {"counts": [0, 320], "size": [16, 20]}}, square])
    content["categories"] = [{"id": 3, "name": "ground"}, {"id": 4, "name": "bird"}]
    masked.import_labels(write("coco.json", content))
    expected = np.zeros((16, 20), dtype=np.uint8)
    expected[4:8, 5:15] = 1
    np.testing.assert_array_equal(mask_of(masked, "a/000.png"), expected)
    value = {"points": [[25, 25], [75, 25], [75, 50], [25, 50]], "polygonlabels": ["bird"]}
    result = {"type": "polygonlabels", "value": value, "original_width": 20, "original_height": 16}
    masked.import_labels(write("x.json", [{"data": {"path": "a/002.png"}, "annotations": [{"result": [result]}]}]))
    np.testing.assert_array_equal(mask_of(masked, "a/002.png"), np.where(expected == 1, 1, 255))


def test_masks_cannot_be_given_as_classes(masked):
    with pytest.raises(CampaignError, match="this campaign is of masks: use label_mask"):
        masked.label(1, "bird", author="ann")


def test_a_region_of_polygons_is_the_pixels_whose_centres_any_of_them_contains():
    square, overlapping = [0, 0, 3, 0, 3, 2, 0, 2], [2, 1, 5, 1, 5, 3, 2, 3]
    assert region([square], 4, 5).sum() == 6
    expected = np.zeros((4, 5), dtype=bool)
    expected[:2, :3] = expected[1:3, 2:5] = True
    np.testing.assert_array_equal(region([square, overlapping], 4, 5), expected)
    assert not region([], 4, 5).any()
    for nowhere in (float("nan"), float("inf"), 1e308):
        with pytest.raises(ValueError, match="a corner that is not a finite point"):
            region([[0, 0, 3, nowhere, 3, 2]], 4, 5)


@pytest.mark.parametrize("number", ["1e999", "9" * 400])
def test_huge_sizes_and_coordinates_are_refused_in_one_sentence(masked, write, number):
    polygon = '"type": "polygonlabels", "value": {"points": [[0, 0], [9, 9], [0, 9]], "polygonlabels": ["bird"]}'
    result = f'{{{polygon}, "original_width": {number}, "original_height": 16}}'
    task = f'[{{"data": {{"path": "a/000.png"}}, "annotations": [{{"result": [{result}]}}]}}]'
    far = f'"segmentation": [[0, 0, {number}, 0, 9, 9]]'
    coco = (
        '{"images": [{"id": 1, "file_name": "a/000.png"}], "categories": [{"id": 1, "name": "bird"}], '
        f'"annotations": [{{"image_id": 1, "category_id": 1, {far}}}]}}'
    )
    for name, content in {"tasks.json": task, "coco.json": coco}.items():
        with pytest.raises(DataError, match=name):
            masked.import_labels(write(name, content))


BRUSH = {"type": "brushlabels", "original_height": 120_000, "original_width": 120_000, "value": {}}
VAST = {"counts": [0, 120_000**2], "size": [120_000, 120_000]}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            [
                {
                    "data": {"path": "a/000.png"},
                    "annotations": [{"result": [BRUSH | {"value": {"brushlabels": ["bird"]}}]}],
                }
            ],
            r"task 1: the mask has 120000 x 120000 pixels and its image 20 x 16",
        ),
        (
            coco([{"category_id": 3, "segmentation": VAST}], width=120_000, height=120_000),
            r"image 7: the mask has 120000 x 120000 pixels and its image 20 x 16",
        ),
        (coco([{"category_id": 3, "segmentation": VAST}]), r"a region of \[120000, 120000\], .* of \[16, 20\]"),
    ],
)
def test_a_mask_with_a_huge_declared_size_is_refused_before_allocation(masked, write, content, match):
    if isinstance(content, dict):
        content["categories"] = [{"id": 3, "name": "ground"}]
    with pytest.raises(DataError, match=match):  # a MemoryError, or hours, where room is made first
        masked.import_labels(write("vast.json", content))
    assert masked.labels() == {}


def test_a_mask_file_of_another_size_is_not_decoded(masked, tmp_path, monkeypatch):
    (tmp_path / "masks/a").mkdir(parents=True)
    Image.fromarray(np.zeros((20, 16), np.uint8)).save(tmp_path / "masks/a/000.png")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda image: pytest.fail("decoded"))
    with pytest.raises(DataError, match="the mask has 16 x 20 pixels and its image 20 x 16"):
        masked.import_labels(tmp_path / "masks")
