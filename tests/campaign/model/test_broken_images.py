"""A file that breaks after the last look ends no training: it is set aside, and is back when it is whole again."""

import os
from pathlib import Path

import pytest

from minimax_al.errors import DataError, UnreadableImageError

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures


def break_silently(path, content):
    """Other content under the same size and time, as a failing disk leaves it; shorter content has another size."""
    before = path.stat()
    path.write_bytes(content.ljust(before.st_size, b"\0"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


DAMAGE = {
    "rotten": lambda path: break_silently(path, b"no image any more"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:60]),
    "gone": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.fixture
def labelled(make_campaign):
    campaign = make_campaign(
        count=16, classes=["even", "odd"], stored_size=16, recipe=TINY_RECIPE, near_duplicates="off"
    )
    for number in range(10):
        campaign.label(f"{'ab'[number % 2]}/{number:03d}.png", ["even", "odd"][number % 2], author="ann")
    return campaign


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["a/002.png", "b/013.png"], ids=["labelled", "unlabelled"])
def test_a_training_leaves_a_broken_image_out(labelled, caplog, damage, name):
    DAMAGE[damage](labelled.images / name)
    model = labelled.train("entropy")
    assert model.labels + model.held_out == (9 if name == "a/002.png" else 10)
    assert f"image '{name}' is left out" in caplog.text
    assert f"mal status {labelled.folder} --files" in caplog.text
    assert name in {file.path for file in labelled.files()}
    assert labelled.train("entropy").run == model.run  # nothing has changed since


@pytest.mark.parametrize("strategy", ["entropy", "coverage"])
def test_a_query_leaves_many_broken_images_out(labelled, strategy):
    broken = ["a/010.png", "b/011.png", "a/012.png", "a/000.png"]
    for name in broken:
        DAMAGE["rotten"](labelled.images / name)
    assert labelled.query(3, strategy).picks == 3
    assert not {pick.path for pick in labelled.picks()} & set(broken)


def test_a_file_that_is_whole_again_is_back_with_its_label(labelled):
    path = labelled.images / "a/002.png"
    content = path.read_bytes()
    DAMAGE["rotten"](path)
    labelled.train("entropy")
    path.write_bytes(content)
    labelled.refresh()
    assert labelled.files() == []
    model = labelled.train("entropy")
    assert model.labels + model.held_out == 10


def test_errors_outside_the_images_folder_are_raised(labelled, monkeypatch):
    def fail(*_, **__):
        raise UnreadableImageError(Path("/elsewhere/mask.png"), "it is damaged")

    monkeypatch.setattr("minimax_al.campaign.model.learning.build_dataset", fail)
    with pytest.raises(UnreadableImageError, match=r"mask\.png"):
        labelled.train("entropy")


def test_a_missing_folder_is_one_sentence(labelled):
    labelled.images.rename(labelled.images.with_name("elsewhere"))
    with pytest.raises(DataError, match="does not exist"):
        labelled.train("entropy")
    assert labelled.status().labelled == 10
