"""The table in memory equals the database, whatever has happened since it was read."""

import random
from contextlib import suppress
from dataclasses import fields

import numpy as np
import pytest

from minimax_al.errors import BudgetError, CampaignError
from minimax_al.exploring.pool_table import KINDS, ORIGINS, PoolReader


class Stopwatch:
    """A time in seconds that only a test moves."""

    time = 0.0

    def __call__(self):
        return self.time


def columns(table):
    """Every column as comparable values; authors by name, as their numbers depend on the order of reading."""
    found = {}
    for field in fields(table):
        value = getattr(table, field.name)
        if field.name in {"version", "images", "authors"}:
            continue
        found[field.name] = value.tolist() if isinstance(value, np.ndarray) else value
    names = [table.authors[number] if kind else None for number, kind in zip(table.author, table.kind, strict=True)]
    return found | {"author": names}


def test_the_table_has_the_current_answers(campaign):
    campaign.query(8)
    one, two, three, four, *_ = campaign.picks()
    campaign.label(one.item, "cat", "ann", origin="page")
    campaign.label(one.item, "dog", "bob", origin="bulk")
    campaign.unsure(two.item, "ann", origin="page")
    campaign.skip(three.item, "ann", origin="page")
    campaign.skip(four.item, "ann")
    campaign.label(four.item, "cat", "ann")
    table = PoolReader(campaign.store).read()
    rows = table.find([one.item, two.item, three.item, four.item, 999])
    assert rows[-1] == -1
    rows = rows[:-1]
    assert [KINDS[kind] for kind in table.kind[rows]] == ["label", "unsure", "skip", "label"]
    assert [ORIGINS[origin] for origin in table.origin[rows]] == ["bulk", "page", "page", "program"]
    assert [table.authors[author] for author in table.author[rows]] == ["bob", "ann", "ann", "ann"]
    assert [table.paths[row] for row in rows] == [pick.path for pick in (one, two, three, four)]
    assert table.round[rows].tolist() == [1, 1, 1, 1]
    assert (table.round > 0).sum() == 8
    assert table.at[rows[0]] == round(campaign.now().timestamp() * 1e6)


def test_an_updated_table_equals_one_that_is_read_anew(campaign, clock):
    """A random history: after every step, the table that follows it equals a fresh one."""
    reader = PoolReader(campaign.store, Stopwatch())
    campaign.query(10)
    dice = random.Random(7)
    items = [pick.item for pick in campaign.picks()]
    steps = {
        "label": lambda: campaign.label(dice.sample(items, 2), dice.choice(["cat", "dog"]), dice.choice("ab")),
        "unsure": lambda: campaign.unsure(dice.choice(items), dice.choice("ab")),
        "skip": lambda: campaign.skip(dice.choice(items), dice.choice("ab"), origin="page"),
        "undo": lambda: campaign.undo("a") if reader.read().kind.any() else None,
        "withdraw": lambda: campaign.withdraw_labels([dice.choice(items)], "a"),
        "query": lambda: (campaign.close_round(), campaign.query(2)) if dice.random() < 0.2 else None,
    }
    for step in range(60):
        clock.advance(1)
        before = reader.read()
        with suppress(CampaignError, BudgetError):  # nothing to undo, or no candidate
            steps[dice.choice(list(steps))]()
        after = reader.read()
        assert columns(after) == columns(PoolReader(campaign.store).read()), step
        assert before is after or before.version < after.version


@pytest.mark.parametrize("files", [3])
def test_new_images_are_seen_at_once_and_moved_ones_after_half_a_minute(campaign, save_images, files):
    watch = Stopwatch()
    reader = PoolReader(campaign.store, watch)
    assert len(reader.read()) == 12
    save_images(files, first=40)
    campaign.refresh()
    table = reader.read()
    assert len(table) == 12 + files
    (campaign.images / "a" / "000.png").rename(campaign.images / "moved.png")
    campaign.refresh()
    watch.time += 29
    assert "moved.png" not in reader.read().paths
    watch.time += 2
    moved = reader.read()
    assert "moved.png" in moved.paths
    assert moved.images == table.images  # the same images, so that nothing that follows from them is computed again
