"""After a change of classes the labels keep their meaning, and the history keeps the original answers."""

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from minimax_al.campaign.store.schema import items, labels
from minimax_al.errors import ConfigurationError, DataError, UnknownNameError

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - the same recipe


@pytest.fixture
def labelled(campaign):
    """Twelve images: cat, dog and n/a in turn on the first six."""
    for number, path in enumerate(("a/000.png", "b/001.png", "a/002.png", "b/003.png", "a/004.png", "b/005.png")):
        campaign.label(path, campaign.classes[number % 3], author="ann")
    return campaign


@pytest.fixture
def masked(make_campaign, tmp_path):
    """Three classes and void in the mask of one image, ground alone in another's."""
    campaign = make_campaign(task="segmentation", classes=["ground", "bird", "sky"], count=4)
    mask = np.repeat(np.array([[0, 1, 2, 255]], dtype=np.uint8), 5, axis=1).repeat(16, axis=0)
    for path, pixels in (("a/000", mask), ("b/001", np.zeros_like(mask))):
        (tmp_path / "masks" / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "masks" / f"{path}.png")
    campaign.import_labels(tmp_path / "masks")
    return campaign


def numbers(campaign, path="a/000.png"):
    return campaign.masks.load(campaign.labels()[path])[0, ::5].tolist()


def history(campaign):
    with campaign.store.reading() as connection:
        return connection.execute(labels.select().order_by(labels.c.id)).all()


def test_a_renamed_class_keeps_its_labels_and_its_place(labelled):
    before = history(labelled)
    labelled.rename_class("dog", "hound")
    assert labelled.classes == ("cat", "hound", "n/a")
    assert labelled.labels()["b/001.png"] == "hound"
    assert history(labelled) == before
    labelled.rename_class("hound", "Hound")  # a slip in case is mended
    assert labelled.classes == ("cat", "Hound", "n/a")


@pytest.mark.parametrize(
    ("old", "new", "error", "match"),
    [
        ("bird", "x", UnknownNameError, "unknown class 'bird'"),
        ("cat", "dog", DataError, "class names must differ, but 'dog' is there 2 times"),
        ("cat", " x", ConfigurationError, "class name ' x' is invalid"),
    ],
)
def test_a_duplicate_or_invalid_name_is_refused(labelled, old, new, error, match):
    with pytest.raises(error, match=match):
        labelled.rename_class(old, new)
    assert labelled.classes == ("cat", "dog", "n/a")


def test_merging_leaves_at_least_two_classes(labelled):
    with pytest.raises(ConfigurationError, match="only one class would remain"):
        labelled.merge_classes(["dog", "n/a"], "cat")
    assert labelled.merge_classes(["dog"], "cat") == 2
    assert labelled.classes == ("cat", "n/a")
    assert sorted(labelled.labels().values()) == ["cat"] * 4 + ["n/a"] * 2
    said = [row for row in history(labelled) if row.kind == "label"]
    assert [row.rewrites for row in said] == [None] * 6 + [said[1].id, said[4].id]
    assert {row.author for row in said} == {"ann"}
    assert labelled.status().labelled == 6
    labelled.add_classes(["dog"])  # the class comes back, its former labels do not
    assert labelled.classes == ("cat", "n/a", "dog")
    assert sorted(labelled.labels().values()) == ["cat"] * 4 + ["n/a"] * 2


@pytest.mark.parametrize("names", [[], ["cat"], ["dog", "dog"]])
def test_a_merge_without_classes_is_refused(labelled, names):
    with pytest.raises(ConfigurationError, match="cannot merge into 'cat': give other classes, each once"):
        labelled.merge_classes(names, "cat")


def test_the_name_of_a_class_that_has_left_is_free(labelled):
    labelled.merge_classes(["dog"], "cat")
    labelled.rename_class("n/a", "dog")
    assert labelled.classes == ("cat", "dog")
    assert sorted(labelled.labels().values()) == ["cat"] * 4 + ["dog"] * 2


def test_removing_a_class_with_labels_needs_confirmation(labelled):
    with pytest.raises(DataError, match="2 images are labelled 'dog': merge it into another class"):
        labelled.remove_class("dog")
    assert labelled.remove_class("dog", withdraw_labels=True) == 2
    assert labelled.classes == ("cat", "n/a")
    assert sorted(labelled.labels().values()) == ["cat", "cat", "n/a", "n/a"]
    assert labelled.status().unlabelled == 8


def test_classes_can_be_reordered(labelled):
    before = labelled.labels()
    labelled.reorder_classes(["n/a", "cat", "dog"])
    assert labelled.classes == ("n/a", "cat", "dog")
    assert labelled.labels() == before
    with pytest.raises(DataError, match="'dog' is missing: give each of the classes n/a, cat, dog once"):
        labelled.reorder_classes(["cat", "n/a"])
    with pytest.raises(DataError, match="a name is unknown or there twice"):
        labelled.reorder_classes(["cat", "n/a", "dog", "dog"])


def test_masks_follow_the_numbers_of_their_classes(masked):
    masked.reorder_classes(["sky", "ground", "bird"])
    assert numbers(masked) == [1, 2, 0, 255]
    assert numbers(masked, "b/001.png") == [1, 1, 1, 1]
    masked.merge_classes(["bird"], "sky")
    assert masked.classes == ("sky", "ground")
    assert numbers(masked) == [1, 0, 0, 255]


def test_pixels_of_a_removed_class_become_void(masked):
    with pytest.raises(DataError, match="1 images are labelled 'bird'"):
        masked.remove_class("bird")
    assert masked.remove_class("bird", withdraw_labels=True) == 1
    assert masked.classes == ("ground", "sky")
    assert numbers(masked) == [0, 255, 1, 255]


def test_a_round_and_its_suggestions_follow_the_classes(make_campaign):
    campaign = make_campaign(
        count=30, classes=["cat", "dog", "n/a"], stored_size=16, recipe=TINY_RECIPE, near_duplicates="off"
    )
    campaign.query(12)
    for number, pick in enumerate(campaign.picks()):
        campaign.label(pick.item, campaign.classes[number % 3], author="ann")
    campaign.query(6, "margin")
    campaign.merge_classes(["dog"], "cat")
    assert {pick.suggestion for pick in campaign.picks()} <= {"cat", "n/a", None}
    campaign.train("margin")
    assert campaign.status().model.labels_since == 0
    assert campaign.round().waiting == 6
    campaign.label([pick.item for pick in campaign.picks()], "n/a", author="ann")
    assert not campaign.round().is_open


def test_labels_of_every_author_can_be_withdrawn(campaign):
    campaign.query(3)
    first, second, _ = campaign.picks()
    campaign.label(first.item, "cat", author="ann")
    campaign.label(first.item, "dog", author="bob")
    campaign.unsure(second.item, author="ann")
    assert campaign.round().waiting == 1
    assert campaign.withdraw_labels([first.path, second.path, "b/011.png"], author="eve") == 2
    assert campaign.labels() == {}
    assert campaign.round().waiting == 3
    rows = history(campaign)
    assert [row.kind for row in rows] == ["label", "label", "unsure", "undo", "undo", "undo"]
    assert {row.author for row in rows[3:]} == {"eve"}
    with pytest.raises(DataError, match=r"'none\.png' is no"):
        campaign.withdraw_labels(["none.png"], author="eve")


def test_a_rewritten_answer_is_its_authors_own(make_campaign):
    campaign = make_campaign(count=4)
    campaign.query(4)
    one, two, *_ = (pick.item for pick in campaign.picks())
    campaign.label(one, "dog", "ann", origin="page")
    campaign.label(two, "cat", "ann", origin="page")
    campaign.merge_classes(["dog"], "cat")
    assert [(each.name, each.labelled) for each in campaign.team().annotators] == [("ann", 2)]
    assert campaign.label(one, "n/a", "ann", own_only=True) == []
    assert campaign.undo("ann").item == one
    assert campaign.undo("ann").item == two  # the answers in the order in which ann gave them
    undone = campaign.undo("ann")
    assert (undone.item, undone.class_name) == (one, "cat")
    assert campaign.labels() == {}


def test_an_undo_after_two_changes_leads_to_an_answer_of_todays_classes(make_campaign, storage):
    campaign = make_campaign(classes=["cat", "dog", "fox", "n/a"], count=4, storage=storage)
    campaign.label("a/000.png", "cat", "ann")
    campaign.label("a/000.png", "dog", "bob")
    campaign.unsure("a/000.png", "eve")
    campaign.merge_classes(["cat"], "dog")
    assert campaign.merge_classes(["dog"], "fox") == 0  # eve's answer is the current one
    assert campaign.labels() == {}
    campaign.undo("eve")
    assert campaign.labels() == {"a/000.png": "fox"}
    campaign.undo("bob")
    assert campaign.labels() == {"a/000.png": "fox"}
    assert campaign.undo("ann").class_name == "fox"
    assert campaign.labels() == {}


def test_an_undo_after_a_change_leads_to_a_mask_of_todays_numbers(masked):
    masked.label_mask("a/000.png", np.full((16, 20), 2, np.uint8), "bob")
    masked.reorder_classes(["sky", "ground", "bird"])
    assert set(numbers(masked)) == {0}
    masked.undo("bob")
    assert numbers(masked) == [1, 2, 0, 255]


def test_independent_answers_follow_a_merge(make_campaign, storage):
    campaign = make_campaign(count=3, overlap=1.0, storage=storage)
    campaign.query(3)
    for pick, (first, second) in zip(campaign.picks(), (("dog", "cat"), ("cat", "dog"), ("dog", "n/a")), strict=True):
        campaign.label(pick.item, first, "ann", if_waiting=True)
        campaign.label(pick.item, second, "bob", if_waiting=True)
    assert campaign.count_conflicts() == 3
    campaign.merge_classes(["dog"], "cat")
    found = [(pair.state, pair.first.class_name, pair.second.class_name) for pair in campaign.two_opinions()]
    assert found == [("agreed", "cat", "cat"), ("agreed", "cat", "cat"), ("conflict", "cat", "n/a")]
    assert list(campaign.labels().values()) == ["cat", "cat", "n/a"]
    campaign.undo("bob", campaign.picks()[1].item)
    assert [pair.state for pair in campaign.two_opinions()] == ["agreed", "conflict"]
    assert campaign.label(campaign.picks()[1].item, "n/a", "bob", if_waiting=True) == []
    assert campaign.count_conflicts() == 2


def test_a_label_of_a_files_former_content_stays_one(make_campaign):
    campaign = make_campaign(count=3)
    campaign.label("a/000.png", "dog", "ann")
    Image.fromarray(np.random.default_rng(9).integers(0, 256, (24, 30, 3), np.uint8)).save(
        campaign.images / "a/000.png"
    )
    assert campaign.refresh().changed == ("a/000.png",)
    campaign.merge_classes(["dog"], "cat")
    assert campaign.refresh().changed == ()
    with campaign.store.reading() as connection:
        assert connection.execute(select(items.c.status).where(items.c.path == "a/000.png")).scalar() == "changed"
    campaign.withdraw_labels(["a/000.png"], "ann")
    assert campaign.labels() == {}
