"""Conditions for a pool of a million images: statements and memory do not grow with the pool."""

import shutil
import tracemalloc
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, insert

from minimax_al.campaign.features import cold_start
from minimax_al.campaign.features.hog import whitened
from minimax_al.campaign.images import duplicates
from minimax_al.campaign.images import refresh as refresh_module
from minimax_al.campaign.rounds.rounds import candidates, count_candidates
from minimax_al.campaign.store.schema import items
from minimax_al.data.near_duplicates.candidates import close_hashes, first_equal

from ..support.fakes import random_image  # noqa: TID252 - the same images


@contextmanager
def statements_of(campaign):
    """The SQL that a campaign sends meanwhile; many rows sent at once are one statement."""
    said = []

    def hear(*told):
        said.append(told[2])

    event.listen(campaign.store.engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(campaign.store.engine, "before_cursor_execute", hear)


def pretend_images(campaign, count):
    """Rows of images, as if files had been found."""
    rows = [
        {
            "path": f"pretended/{number:07d}.jpg",
            "status": "active",
            "content_hash": f"{number:064x}",
            "perceptual_hash": f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}",
            "width": 300,
            "height": 300,
            "size_bytes": 1000,
            "modified_ns": number,
            "added_at": datetime(2026, 1, 2, tzinfo=UTC),
        }
        for number in range(count)
    ]
    with campaign.store.writing() as connection:
        connection.execute(insert(items), rows)


def test_the_number_of_statements_of_a_refresh_does_not_grow_with_a_portion(make_campaign, save_images):
    counts = []
    for count in (4, 40):
        images = save_images(count, folder=f"images {count}")
        campaign = make_campaign(folder=f"campaign {count}", images=images)
        save_images(count, folder=f"images {count}", first=count)
        with statements_of(campaign) as added:
            assert len(campaign.refresh().added) == count
        with statements_of(campaign) as nothing:
            assert str(campaign.refresh()) == "nothing new"
        counts.append((len(added), len(nothing)))
    assert counts[0] == counts[1]


def test_portions_are_put_together_again(make_campaign, save_images, monkeypatch):
    monkeypatch.setattr(refresh_module, "_PORTION", 4)
    monkeypatch.setattr(refresh_module, "_AT_ONCE", 3)
    campaign = make_campaign(images=save_images(11))
    (campaign.images / "a/004.png").unlink()
    (campaign.images / "b/003.png").unlink()
    random_image(99).save(campaign.images / "b/005.png")
    save_images(2, first=11)
    found = campaign.refresh()
    assert (found.added, found.missing) == (("a/012.png", "b/011.png"), ("a/004.png", "b/003.png"))
    assert str(campaign.refresh()) == "nothing new"
    assert campaign.status().items == {"active": 11, "missing": 2}


def test_a_refresh_without_new_files_compares_no_images(campaign, monkeypatch):
    monkeypatch.setattr(duplicates, "_present", lambda *_: pytest.fail("all images were read"))
    assert str(campaign.refresh()) == "nothing new"


def test_moving_a_folder_takes_a_constant_number_of_statements(make_campaign, save_images):
    counts = []
    for count in (4, 12):
        campaign = make_campaign(folder=f"campaign {count}", images=save_images(count, folder=f"images {count}"))
        campaign.label("a/000.png", "cat", author="ann")
        shutil.move(campaign.images / "a", campaign.images / "z")
        with statements_of(campaign) as said:
            assert len(campaign.refresh().moved) == count // 2
        assert campaign.labels() == {"z/000.png": "cat"}
        counts.append(len(said))
    assert counts[0] == counts[1]


def test_an_import_looks_up_its_own_images_alone(campaign, tmp_path):
    (tmp_path / "one.csv").write_text("path,label\na/000.png,cat\n")
    with statements_of(campaign) as said:
        campaign.import_labels(tmp_path / "one.csv")
    read = [statement for statement in said if "FROM items" in statement.replace("\n", "")]
    assert read
    of_few = ("WHERE items.path =", "WHERE items.id IN", "WHERE items.duplicate_of IN")
    assert all(any(part in statement for part in of_few) for statement in read)


def test_a_refresh_allocates_no_object_per_known_image(campaign):
    pretend_images(campaign, 20_000)
    with campaign.store.reading() as connection:
        tracemalloc.start()
        try:
            present = duplicates._present(connection, items.c.id > 0)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(present.ids) == 20_012
    assert held < 200 * len(present.ids)  # bytes; rows as objects have 700


def test_candidates_are_counted_as_they_are_listed(campaign):
    shutil.copy(campaign.images / "a/000.png", campaign.images / "copy.png")
    campaign.refresh()
    campaign.label("copy.png", "cat", author="ann")
    campaign.unsure("b/001.png", author="ann")
    campaign.skip("b/003.png", author="ann")
    with campaign.store.reading() as connection:
        assert count_candidates(connection) == len(candidates(connection)) == 10


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(min_size=9, max_size=9).map(lambda row: bytes(byte % 2 for byte in row)), max_size=40))
def test_the_first_of_equal_rows_is_found(rows):
    found = first_equal(np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, 9))
    assert found.tolist() == [rows.index(row) for row in rows]


def test_only_hashes_that_share_two_bands_are_compared(monkeypatch):
    """A thousand images that are alike in a part must not make all others be looked at a thousand times."""
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 2, (5000, 128), dtype=np.uint8)
    for band in (slice(0, None, 6), slice(3, None, 6)):
        bits[:1000, band] = bits[0, band]
    hashes = [row.tobytes().hex() for row in np.packbits(bits, axis=1)]
    compared = []

    class Counted(np.ndarray):
        def __getitem__(self, chosen):
            compared.append(len(chosen))
            return np.asarray(self)[chosen]

    monkeypatch.setattr("minimax_al.data.near_duplicates.candidates._BITS_OF", _bits_of_16().view(Counted))
    assert close_hashes(hashes, np.ones(5000, dtype=bool), 4).positions.tolist() == []
    assert sum(compared) <= 1.01 * 1000 * 999 / 2


def _bits_of_16():
    return np.array([number.bit_count() for number in range(1 << 16)], dtype=np.uint8)


def test_descriptions_are_joined_in_order():
    parts = [torch.arange(12.0).reshape(6, 2)[start : start + 2] for start in (0, 2, 4)]
    assert torch.equal(cold_start._joined(iter(parts), 6), torch.cat(parts))


def test_whitening_a_part_at_a_time_changes_nothing(monkeypatch):
    features = torch.randn(100, 20, generator=torch.Generator().manual_seed(0)) + 3
    whole = whitened(features)
    monkeypatch.setattr("minimax_al.campaign.features.hog._PART", 7)
    parts = whitened(features)
    # A principal direction may come with either sign.
    torch.testing.assert_close(parts @ parts.T, whole @ whole.T, atol=1e-4, rtol=0)


def plans(connection, statement, parameters):
    """The steps of a statement's plan that read a table: its name, and whether it is read by the values of an index."""
    if connection.dialect.name == "sqlite":
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
            kind, _, rest = row.detail.partition(" ")
            if kind in {"SCAN", "SEARCH"}:
                yield rest.split()[0], kind == "SEARCH"
        return
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # of a few rows PostgreSQL would read all
    waiting = [connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()[0]["Plan"]]
    while waiting:
        step = waiting.pop()
        waiting += step.get("Plans", ())
        if "Relation Name" in step:
            yield step["Relation Name"], not step["Node Type"].startswith(("Seq", "Index")) or "Index Cond" in step


def test_status_lease_and_label_do_not_read_all_images(make_campaign, storage):
    """So their cost does not grow with the pool; a name in SQLite's plan may be that of an alias of the table."""
    campaign = make_campaign(storage=storage)
    campaign.query(6, "random")
    said = []

    def hear(_, __, statement, parameters, ___, many):
        said.extend((statement, each) for each in (parameters if many else [parameters]))

    event.listen(campaign.store.engine, "before_cursor_execute", hear)
    campaign.label(campaign.lease("ann", 2).picks[0].item, "cat", author="ann")
    campaign.status()
    event.remove(campaign.store.engine, "before_cursor_execute", hear)
    of_items = {"items", "copy", "original", "twin", "said", "new"}
    with campaign.store.writing() as connection:
        steps = [
            (statement, table, is_search)
            for statement, parameters in said
            if statement.lstrip().startswith(("SELECT", "WITH", "UPDATE", "INSERT"))
            for table, is_search in plans(connection, statement, parameters)
        ]
    assert sum(table == "items" for _, table, _ in steps) > 5
    assert [step for step in steps if step[1] in of_items and not step[2]] == []
