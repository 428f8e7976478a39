"""An export that is imported into a new campaign gives the same labels, in every format."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minimax_al.campaign import FORMATS, Campaign
from minimax_al.campaign.store.history import current_labels
from minimax_al.data.locations.scan import is_hidden
from minimax_al.errors import DataError
from minimax_al.label_formats.class_folders import class_of_folder, folder_of_class
from minimax_al.label_formats.run_length import (
    decode_coco,
    decode_label_studio,
    encode_coco,
    encode_label_studio,
)

from ...support.fakes import random_image  # noqa: TID252 - the same images

CLASSES = ["cat", "dog, big", 'the "best"', "n/a", "..", ".git", "a%2Fb", "ä ö/ü", "鷺", "thumbs.db", "=1+1"]
ENDINGS = {"csv": ".csv", "parquet": ".parquet", "coco": ".json", "label-studio": ".json"}
NAMES = ["a b.png", "größe/鷺.png", "it's 100%.png", "x,y.png", 'q"q.png', "deep/er/z.png", "+plus&.png", "d?d=1.png"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for seed, name in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        random_image(seed, (9, 7)).save(root / name)
    return root


@pytest.fixture(scope="module")
def pairs(images, tmp_path_factory):
    """For each task, one campaign to export from and one to import into; the examples share them."""
    made = {}
    for task in ("classification", "segmentation"):
        folder = tmp_path_factory.mktemp(task)
        made[task] = [
            Campaign.create(folder / side, images, CLASSES, task=task, recipe="scratch") for side in ("from", "to")
        ]
    yield made
    for pair in made.values():
        for campaign in pair:
            campaign.close()


def round_trip(pair, name, folder):
    source, target = pair
    out = folder / f"labels{ENDINGS.get(name, '')}"
    assert source.export(name, out).written == len(source.labels())
    target.import_labels(out)
    labels = source.labels()
    assert {path: label for path, label in target.labels().items() if path in labels} == labels


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if "classification" in entry.tasks])
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CLASSES), min_size=1))
def test_classes(pairs, tmp_path_factory, name, said):
    for path, class_name in said.items():
        pairs["classification"][0].label(path, class_name, author="ann")
    round_trip(pairs["classification"], name, tmp_path_factory.mktemp("out"))


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if "segmentation" in entry.tasks])
@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_masks(pairs, tmp_path_factory, name, seed):
    generator = np.random.default_rng(seed)
    for path in generator.permutation(NAMES)[:3].tolist():
        mask = generator.choice([0, 1, len(CLASSES) - 1, 255], size=(7, 9)).astype(np.uint8)
        mask[0, 0] = 0  # a mask of nothing but ignored pixels says nothing, and the JSON formats leave it out
        pairs["segmentation"][0].label_mask(path, mask, author="ann")
    round_trip(pairs["segmentation"], name, tmp_path_factory.mktemp("out"))


@settings(deadline=None)
@given(st.text(min_size=1).filter(lambda name: name.isprintable() and name == name.strip()))
@example(":Zone.Identifier")  # hidden, and its first letter cannot be in a folder's name
@example("a:Zone.Identifier")
@example("heron@SynoEAStream")
@example("..")
@example("lost+found")
def test_every_class_name_is_a_folder_and_back(name):
    folder = folder_of_class(name)
    assert "/" not in folder
    assert not is_hidden(folder)
    assert class_of_folder(folder, [name, "other"]) == name
    assert class_of_folder(name, [name]) == name or "%" in name  # a folder that people named themselves


@st.composite
def binary_masks(draw):
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    return np.array(draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))).reshape(
        height, width
    )


@settings(deadline=None)
@given(binary_masks())
def test_run_lengths_are_read_as_they_were_written(mask):
    code = encode_coco(mask)
    np.testing.assert_array_equal(decode_coco(code["counts"], code["size"]), mask)
    np.testing.assert_array_equal(decode_label_studio(encode_label_studio(mask), mask.shape), mask)


def test_long_runs_are_split():
    mask = np.zeros((400, 500), dtype=bool)
    mask[10:390] = True
    np.testing.assert_array_equal(decode_label_studio(encode_label_studio(mask), mask.shape), mask)


def test_cocos_compressed_text_is_read():
    """By hand from COCO's rule: 5 bits a character from 48 on, differences to the last but one from the fourth run."""
    # runs 6 1 40 4: "6", "1", 40 = 8 + 32·1 → chr(48+8+32) chr(48+1), 4 − 1 = 3 → "3"
    mask = decode_coco("61X13", (51, 1))
    assert np.flatnonzero(mask.ravel()).tolist() == [6, *range(47, 51)]


@pytest.mark.parametrize(
    ("decode", "match"),
    [
        (lambda: decode_coco([3, 2], (2, 2)), "the runs cover 5 pixels, and the image has 4"),
        (lambda: decode_coco([5, -1], (2, 2)), "a run is not a whole number from 0 on"),
        (lambda: decode_coco([0.5, 3.5], (2, 2)), "a run is not a whole number from 0 on"),
        (lambda: decode_coco("o" * 9999, (2, 2)), "a run is longer than any image"),
        (lambda: decode_coco("\u00e9", (2, 2)), "a run is not a whole number|the runs cover"),
        (lambda: decode_label_studio([256, -1], (2, 2)), "its code is not a list of bytes from 0 to 255"),
        (lambda: decode_label_studio(encode_label_studio(np.ones((2, 2), bool)), (3, 3)), "is of 4 pixels"),
        (lambda: decode_label_studio(encode_label_studio(np.ones((9, 9), bool))[:7], (9, 9)), "ends too early"),
    ],
)
def test_codes_that_do_not_fit_are_refused(decode, match):
    with pytest.raises(ValueError, match=match):
        decode()


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.keeps_unsure])
def test_authors_and_unsure_answers_survive_a_round_trip(make_campaign, tmp_path, name):
    source = make_campaign()
    target = make_campaign(folder="target", images=source.images)
    source.label([1, 2, 3], "cat", author="ann")
    source.label(3, "dog", author="bob, jr")
    source.unsure([4, 5], author="eve")
    source.label(5, "n/a", author="ann")
    target.label(4, "dog", author="zoe")
    out = tmp_path / f"out{ENDINGS[name]}"
    assert source.export(name, out).written == 4
    found = target.import_labels(out)
    assert (found.added, found.changed, found.unchanged, found.unsure) == (4, 0, 0, 1)
    assert target.labels() == source.labels()
    assert (target.status().unsure, source.status().unsure) == (1, 1)

    def said(campaign):
        with campaign.store.reading() as connection:
            return [(row.path, row.class_name, row.author) for row in connection.execute(current_labels(unsure=True))]

    assert sorted(said(target)) == sorted(said(source))
    again = target.import_labels(out)
    assert (again.added, again.changed, again.unchanged, again.unsure) == (0, 0, 5, 0)
    target.label(4, "cat", author="zoe")
    assert target.import_labels(out).unsure == 1


def test_only_current_labels_are_written(make_campaign, tmp_path):
    campaign = make_campaign()
    campaign.label([1, 2, 3], "cat", author="ann")
    campaign.unsure(2, author="bob")
    campaign.skip(4, author="bob")
    campaign.undo("ann", 3)
    assert campaign.export("csv", tmp_path / "out.csv").written == 1
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "path,label,author,labelled_at,answer,origin"
    assert lines[1].startswith("a/000.png,cat,ann,2026-01-02T03:04:05")
    assert lines[1].endswith(",label,program")
    assert lines[2].startswith("a/002.png,,bob,")
    assert lines[2].endswith(",unsure,program")
    assert len(lines) == 3


def test_an_export_without_labels_is_refused_at_import(make_campaign, tmp_path):
    campaign = make_campaign()
    for name, ending in ENDINGS.items():
        assert campaign.export(name, tmp_path / f"out{ending}").written == 0
        with pytest.raises(DataError, match=r"has no (labels|rows)"):
            campaign.import_labels(tmp_path / f"out{ending}")


@pytest.mark.parametrize(
    "classes", [("train", "test"), ("val", "train"), ("image", "mask"), ("trainA", "testA"), ("train", "bus")]
)
def test_class_folders_whose_names_mean_something_else_are_read_back(make_campaign, save_images, tmp_path, classes):
    first = make_campaign(images=save_images(4), classes=list(classes))
    for number, path in enumerate(["a/000.png", "b/001.png", "a/002.png"]):
        first.label(path, classes[number % 2], author="ann")
    first.export("imagefolder", tmp_path / "folders")
    second = make_campaign(images=tmp_path / "images", classes=list(classes), folder="second")
    second.import_labels(tmp_path / "folders")
    assert second.labels() == first.labels()
    plain = classes == ("train", "bus")
    assert {path.name for path in (tmp_path / "folders").iterdir()} == set(classes) or not plain
