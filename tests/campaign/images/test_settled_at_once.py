"""Images that are settled when they are written, and the first look, before whose end no image is picked."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from minimax_al.campaign import Campaign
from minimax_al.campaign.images import refresh as refresh_module
from minimax_al.campaign.rounds.rounds import candidates, count_candidates
from minimax_al.campaign.store.schema import items
from minimax_al.errors import CampaignError

pytest.importorskip("fsspec", reason="extra remote")


@pytest.fixture
def write_manifest(tmp_path):
    """Writes a manifest of images that are nowhere: the path and the content of each."""

    def write(*images):
        lines = [f"s3://pool/{name}.jpg,{hashlib.sha256(content.encode()).hexdigest()},8,8" for name, content in images]
        file = tmp_path / "pool.csv"
        file.write_text("\n".join(["path,sha256,width,height", *lines]) + "\n")
        return file

    return write


@pytest.fixture
def small_portions(monkeypatch):
    monkeypatch.setattr(refresh_module, "_PORTION", 2)
    monkeypatch.setattr(refresh_module, "_STATED_PORTION", 3)


def rows(campaign):
    """The status, and the name of the representative, of every image, by name."""
    with campaign.store.reading() as connection:
        found = connection.execute(select(items.c.id, items.c.path, items.c.status, items.c.duplicate_of)).all()
    names = {row.id: row.path.rpartition("/")[2].removesuffix(".jpg") for row in found}
    return {names[row.id]: (row.status, names.get(row.duplicate_of)) for row in found}


def written(campaign):
    """Collects the statements that write an image."""
    said = []

    def hear(*told):
        if told[2].lstrip().startswith("UPDATE items"):
            said.append(told[2])

    event.listen(campaign.store.engine, "before_cursor_execute", hear)
    return said


def settled(images):
    """Reference: the first image of a content represents the others, whatever the portions."""
    first = {}
    for name, content in images:
        first.setdefault(content, name)
    return {name: ("active", None) if first[c] == name else ("duplicate", first[c]) for name, c in images}


@pytest.mark.usefixtures("small_portions")
def test_an_image_without_an_equal_is_written_once(make_campaign, write_manifest, storage):
    images = [(f"{number:03d}", str(number)) for number in range(10)]
    campaign = make_campaign(images=write_manifest(*images[:4]), storage=storage)
    updates = written(campaign)
    write_manifest(*images)
    assert campaign.refresh().count("added") == 6
    assert updates == []
    assert rows(campaign) == settled(images)


@pytest.mark.usefixtures("small_portions")
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.lists(st.sampled_from("abcd"), min_size=1, max_size=9),
    known=st.integers(min_value=1, max_value=9),
)
def test_copies_are_found_in_and_across_portions(make_campaign, write_manifest, tmp_path, contents, known):
    images = [(f"{number:03d}", content) for number, content in enumerate(contents)]
    number = len([path for path in tmp_path.iterdir() if path.is_dir()])
    campaign = make_campaign(folder=f"campaign {number}", images=write_manifest(*images[:known]))
    assert rows(campaign) == settled(images[:known])
    write_manifest(*images)
    found = campaign.refresh()
    assert rows(campaign) == settled(images)
    copies = [f"s3://pool/{name}.jpg" for name, _ in images[known:] if settled(images)[name][0] == "duplicate"]
    assert sorted(found.exact_duplicates) == copies
    assert str(campaign.refresh()) == "nothing new"
    campaign.close()


@pytest.mark.usefixtures("small_portions")
def test_a_row_whose_path_changes_keeps_its_label(make_campaign, write_manifest, storage):
    images = [(f"{number:03d}", str(number)) for number in range(7)]
    campaign = make_campaign(images=write_manifest(*images), storage=storage)
    campaign.label("s3://pool/002.jpg", "cat", author="ann")
    write_manifest(*(("moved" if name == "002" else name, content) for name, content in images), ("other", "other"))
    assert campaign.refresh().moved == ("s3://pool/moved.jpg",)
    assert campaign.labels() == {"s3://pool/moved.jpg": "cat"}
    assert campaign.status().items == {"active": 8}
    # A file that comes back long after it went takes its place again.
    write_manifest(*images[:2], *images[3:], ("other", "other"))
    assert campaign.refresh().missing == ("s3://pool/moved.jpg",)
    write_manifest(*images, ("other", "other"))
    assert campaign.refresh().moved == ("s3://pool/002.jpg",)
    assert campaign.labels() == {"s3://pool/002.jpg": "cat"}


@pytest.mark.usefixtures("small_portions")
@pytest.mark.parametrize("distance", [1, 2, 3, 4, 7])
def test_the_first_line_of_a_path_counts_wherever_the_second_is(make_campaign, write_manifest, caplog, distance):
    """In the same portion, in the next one, which is listed before the first is written, and in a later one."""
    images = [(f"{number:03d}", str(number)) for number in range(9)]
    images[1 + distance] = ("001", "other content")
    first = [image for number, image in enumerate(images) if number != 1 + distance]
    campaign = make_campaign(images=write_manifest(*images))
    assert rows(campaign) == settled(first)
    assert caplog.messages == ["'s3://pool/001.jpg' is listed twice: its first line counts"]
    campaign.label("s3://pool/001.jpg", "cat", author="ann")
    assert str(campaign.refresh()) == "nothing new"
    assert campaign.status().items == {"active": 8}


def test_a_few_of_many_paths_that_are_listed_twice_are_named(make_campaign, write_manifest, caplog):
    images = [(f"{number:03d}", str(number)) for number in range(15)]
    campaign = make_campaign(images=write_manifest(*images, *images))
    assert campaign.status().items == {"active": 15}
    assert len(caplog.messages) == 11
    assert caplog.messages[-1] == "5 further lines name an image again"


@pytest.mark.usefixtures("small_portions")
def test_no_image_is_picked_before_the_first_look_has_ended(  # noqa: PLR0917 - fixtures
    make_campaign, write_manifest, monkeypatch, storage, tmp_path, clock
):
    images = [(f"{number:03d}", str(number % 5)) for number in range(8)]
    asked = []

    def interrupted(*arguments):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(arguments)
        return original(*arguments)

    original = refresh_module._write
    with monkeypatch.context() as patch:
        patch.setattr(refresh_module, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_campaign(images=write_manifest(*images), storage=storage)
    campaign = make_campaign.track(Campaign.open(tmp_path / "campaign", clock=clock))
    with campaign.store.reading() as connection:
        assert count_candidates(connection) == len(candidates(connection)) == 0
    assert 0 < sum(campaign.status().items.values()) < 8
    assert any("first look" in note for note in campaign.status().notes)
    with pytest.raises(
        CampaignError, match="first look at the images was interrupted, or is still running: 'mal status"
    ):
        campaign.query(2)
    campaign.refresh()
    assert rows(campaign) == settled(images)
    assert campaign.status().notes == ()
    assert campaign.query(2).picks == 2
