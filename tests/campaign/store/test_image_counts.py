"""Number of images by status: the database keeps it, whatever changes the images."""

import random
import shutil
from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, delete, func, select, update

from minimax_al.campaign.store.bulk import add_rows
from minimax_al.campaign.store.image_counts import count_by_status
from minimax_al.campaign.store.schema import items

STATUSES = ("new", "active", "duplicate", "set-aside", "missing", "changed")


def counted(connection):
    """Reference: the rows themselves are counted."""
    rows = connection.execute(select(items.c.status, func.count().label("n")).group_by(items.c.status))
    return {row.status: row.n for row in rows}


def add(connection, generator, count):
    """As a refresh adds images: by COPY on PostgreSQL, if there are many."""
    number = connection.execute(select(func.coalesce(func.max(items.c.id), 0))).scalar_one()
    rest = {"size_bytes": 1, "modified_ns": 1, "added_at": datetime(2026, 1, 2, tzinfo=UTC)}
    rows = [{"path": f"{number}-{i}.jpg", "status": generator.choice(STATUSES), **rest} for i in range(count)]
    add_rows(connection, items, rows)


def change_many(connection, generator):
    one, other = generator.sample(STATUSES, 2)
    connection.execute(update(items).where(items.c.status == one).values(status=other))


def change_some(connection, generator):
    changed = update(items).where(items.c.id == bindparam("b_id")).values(status=bindparam("b_status"))
    ids = generator.sample(range(1, 200), 20)
    connection.execute(changed, [{"b_id": item, "b_status": generator.choice(STATUSES)} for item in ids])


def remove(connection, generator):
    connection.execute(delete(items).where(items.c.id % 7 == generator.randrange(7), items.c.path.like("%-%")))


@pytest.mark.parametrize("seed", range(3))
def test_any_changes_of_images_are_counted(campaign, seed):
    generator = random.Random(seed)
    for _ in range(12):
        with campaign.store.writing() as connection:
            for _ in range(2):
                change = generator.choice((add, change_many, change_some, remove))
                change(connection, generator, *((generator.choice((3, 150)),) if change is add else ()))
        with campaign.store.reading() as connection:
            assert count_by_status(connection) == counted(connection)


def test_changes_that_are_taken_back_are_not_counted(campaign):
    def interrupted():
        with campaign.store.writing() as connection:
            change_some(connection, random.Random(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with campaign.store.reading() as connection:
        assert count_by_status(connection) == counted(connection) == {"active": 12}


def test_a_refresh_keeps_the_numbers(campaign, save_images):
    shutil.copy(campaign.images / "a/000.png", campaign.images / "copy.png")
    (campaign.images / "b/001.png").unlink()
    (campaign.images / "broken.png").write_bytes(b"no image")
    shutil.move(campaign.images / "a/002.png", campaign.images / "moved.png")
    save_images(4, first=12)
    campaign.refresh()
    with campaign.store.reading() as connection:
        assert count_by_status(connection) == counted(connection)
    assert campaign.status().items == {"active": 15, "duplicate": 1, "missing": 1, "set-aside": 1}
