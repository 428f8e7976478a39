import os

import pytest
from PIL import Image

from minimax_al.data import load_dataset
from minimax_al.data.locations.class_folders import find_parts, part_role
from minimax_al.data.locations.location import locate
from minimax_al.errors import DataError
from minimax_al.label_formats import detect_format


@pytest.fixture
def lay_out(tmp_path):
    """Writes a folder of small images; names that end with a slash become empty folders."""

    def write(*names):
        for name in names:
            path = tmp_path / name
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (sum(name.encode()) % 256,) * 3).save(path)
        return tmp_path

    return write


def classes(prefix, count=5, names=("cat", "dog")):
    return [f"{prefix}{name}/{i}.png" for name in names for i in range(count)]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        *(("train", "valid"), ("Train", "Test"), ("training", "testing"), ("training", "validation")),
        *(("train", "dev"), ("TRAIN", "EVAL"), ("training_set", "test_set"), ("train2017", "val2017")),
        *(("Training Data", "Validation Data"), ("data/train", "data/test"), ("archive/Training", "archive/Val")),
    ],
)
def test_parts_are_recognised_however_they_are_spelled(lay_out, train, test):
    root = lay_out(*classes(f"{train}/", 3), *classes(f"{test}/", 2))
    made = load_dataset("folder", root, stored_size=8)
    assert made.class_names == ("cat", "dog")
    assert set(made.train.names) == {f"{train}/{name}" for name in classes("", 3)}
    assert set(made.test.names) == {f"{test}/{name}" for name in classes("", 2)}
    assert made.set_aside == ()


def test_the_test_part_goes_before_the_validation_part(lay_out):
    root = lay_out(*classes("train/", 3), *classes("valid/", 2), *classes("test/", 2))
    made = load_dataset("folder", root, stored_size=8)
    assert all(name.startswith("test/") for name in made.test.names)
    assert [entry.path for entry in made.set_aside] == ["valid"]
    assert [part.name for part in find_parts(root).labelled] == ["train", "test", "valid"]


@pytest.mark.parametrize("flat", ["test", "test1"])
def test_a_test_folder_without_classes_is_not_a_class(lay_out, flat):
    root = lay_out(*classes("train/"), *(f"{flat}/{i}.png" for i in range(4)))
    made = load_dataset("folder", root, stored_size=8)
    assert made.class_names == ("cat", "dog")
    assert len(made.train) == 8
    assert len(made.test) == 2
    assert [entry.path for entry in made.set_aside] == [flat]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([*classes("test/"), *classes("val/")], "'test', 'val'.*look like the parts of a split"),
        ([*classes("fold1/"), *classes("fold2/"), *classes("fold3/")], "folders of the same names .'cat', 'dog'."),
        ([*classes("labelled/"), *classes("more/")], "'labelled', 'more'.*list the images in a manifest"),
        (classes("", 5, ("cat/train", "cat/test", "dog/train", "dog/test")), "is split into 'test', 'train': put"),
        (classes("", 3, ("trainA", "trainB", "testA", "testB")), "name a part and a class at once: call them test/A"),
        (
            classes("", 3, ("cats_train", "cats_val", "dogs_Train", "dogs_val")),
            "part and a class.*call them train/cats",
        ),
        (classes("", 3, ("images", "labels")), "'images', 'labels'.*a data set of boxes or masks, not classes: import"),
        (["train/images/a.png", "train/labels/", *classes("valid/", 2, ("images", "labels"))], "boxes or masks"),
        (["JPEGImages/a.png", "Annotations/", "ImageSets/"], "boxes or masks, not classes"),
        (classes("pictures/"), "leaves one class: where the classes are its folders .'cat', 'dog'., give .*pictures"),
    ],
)
def test_folders_that_could_be_parts_are_refused(lay_out, names, sentence):
    root = lay_out(*names)
    with pytest.raises(DataError, match=sentence):
        load_dataset("folder", root, stored_size=8)


def test_classes_with_folders_of_different_names_are_classes(lay_out):
    root = lay_out(*classes("", 3, ("cat/inside", "cat/outside", "dog/garden", "bird")))
    assert load_dataset("folder", root, stored_size=8).class_names == ("bird", "cat", "dog")


@pytest.mark.parametrize(
    "system",
    [
        *("@eaDir/cat/SYNOPHOTO_THUMB_M.jpg", "cat/@eaDir/0.png/SYNOPHOTO_THUMB_XL.jpg", "#recycle/x.png"),
        *("$RECYCLE.BIN/S-1-5-21/x.png", "System Volume Information/", "lost+found/", ".Trashes/501/x.png"),
        *(
            "__MACOSX/cat/._0.png",
            ".ipynb_checkpoints/x.png",
            "cat/.ipynb_checkpoints/0-checkpoint.png",
            "@Recycle/x.png",
        ),
        *("cat/._0.png", "#snapshot/x.png", "cat/@tmp/x.png"),
    ],
)
def test_system_folders_are_neither_classes_nor_images(lay_out, system):
    made = load_dataset("folder", lay_out(*classes(""), system), stored_size=8)
    assert made.class_names == ("cat", "dog")
    assert len(made.train) + len(made.test) == 10
    assert made.set_aside == ()


@pytest.mark.parametrize(
    "name", ["Thumbs.db", "ehthumbs.db", "desktop.ini", "Icon\r", "Picasa.ini", "0.png:Zone.Identifier"]
)
def test_system_files_are_not_set_aside(lay_out, name):
    root = lay_out(*classes(""))
    (root / "cat" / name).write_bytes(b"x")
    assert load_dataset("folder", root, stored_size=8).set_aside == ()


def test_part_names():
    parts = {
        "Trainset": "train",
        "hold-out": "validation",
        "test_images": "test",
        "training": "train",
        "2_dev": "validation",
    }
    assert {name: part_role(name) for name in parts} == parts
    others = ("cat", "set", "data", "trains", "contest", "", "vale", "123")
    assert [name for name in others if part_role(name) is not None] == []


def test_masks_in_parts_of_any_spelling(tmp_path):
    for i, part in enumerate(("Training", "Valid")):
        for kind in ("images", "masks"):
            folder = tmp_path / kind / part
            folder.mkdir(parents=True)
            image = Image.new("RGB" if kind == "images" else "L", (8, 8))
            if kind == "masks":
                image.putpixel((0, 0), 1)
            image.save(folder / f"{i}.png")
    (tmp_path / "classes.txt").write_text("ground\nthing\n")
    made = load_dataset("masks", tmp_path, size=8)
    assert (made.train.names, made.test.names) == (("images/Training/0.png",), ("images/Valid/1.png",))


def test_parts_may_be_several_folders_deep(lay_out):
    root = lay_out(*classes("archive/data/train/", 3), *classes("archive/data/test/", 2))
    made = load_dataset("folder", root, stored_size=8)
    assert (made.class_names, len(made.train), len(made.test)) == (("cat", "dog"), 6, 4)


@pytest.mark.parametrize(
    "names", [("train", "bus"), ("test bench", "train station"), ("image", "text"), ("valley", "value")]
)
def test_classes_that_resemble_parts_are_classes(lay_out, names):
    made = load_dataset("folder", lay_out(*classes("", 3, names)), stored_size=8)
    assert made.class_names == tuple(sorted(names))


def test_two_unicode_forms_of_a_class_are_refused(lay_out):
    with pytest.raises(DataError, match=r"'cafe\\u0301' and 'caf\\xe9' are two Unicode forms"):
        load_dataset("folder", lay_out(*classes("", 3, ("cafe\u0301", "caf\xe9"))), stored_size=8)


def test_a_class_folder_that_is_not_utf_8_is_refused(lay_out, tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    with pytest.raises(DataError, match=r"class folder 'caf\\xe9' in .* is not valid UTF-8: rename it"):
        load_dataset("folder", lay_out(*classes("", 3)), stored_size=8)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a.zip", "a.zip' is an archive: unpack it, and give the folder"),
        ("a.tar.gz", "is an archive: unpack it"),
        ("a.txt", "a.txt' is not a folder: give the folder that holds the class folders"),
        ("none", "none' does not exist: give the folder"),
    ],
)
def test_what_is_not_a_folder_is_named(tmp_path, name, sentence):
    if name != "none":
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=sentence):
        load_dataset("folder", tmp_path / name)
    if "archive" in sentence:
        for find in (locate, lambda path: detect_format(path, "classification")):
            with pytest.raises(DataError, match="is an archive: unpack it, and give"):
                find(tmp_path / name)
