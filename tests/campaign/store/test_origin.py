"""Every label records how it came, and suggestions confirmed in bulk measure nothing."""

import csv

import pytest
from sqlalchemy import select

from minimax_al.campaign.answers.validation import held_out_groups
from minimax_al.campaign.features.training_data import read_training_data
from minimax_al.campaign.store.history import current_labels
from minimax_al.campaign.store.schema import labels
from minimax_al.errors import CampaignError


def origins(campaign):
    with campaign.store.reading() as connection:
        return {row.path: row.origin for row in connection.execute(current_labels(unsure=True))}


def test_labels_record_how_they_came(campaign, tmp_path):
    campaign.query(6)
    first, second, third, fourth, *_ = (pick.path for pick in campaign.picks())
    (tmp_path / "labels.csv").write_text(f"path,label\n{first},cat\n")
    campaign.import_labels(tmp_path / "labels.csv")
    campaign.label(second, "dog", "ann", origin="bulk")
    campaign.label(third, "dog", "ann")
    campaign.unsure(fourth, "ann", origin="page")
    assert origins(campaign) == {first: "import", second: "bulk", third: "program", fourth: "page"}
    campaign.label(second, "cat", "bob", origin="page")
    assert origins(campaign)[second] == "page"
    campaign.undo("bob")
    assert origins(campaign)[second] == "bulk"


def test_a_change_of_classes_keeps_the_origin(campaign):
    campaign.label(["a/000.png", "b/001.png"], "cat", "ann", origin="bulk")
    campaign.merge_classes(["cat"], into="dog")
    assert origins(campaign) == {"a/000.png": "bulk", "b/001.png": "bulk"}


def test_a_retried_bulk_label_runs_once_and_its_key_is_no_other_requests(campaign):
    for _ in range(2):
        campaign.label("a/000.png", "cat", "ann", request="1", origin="bulk")
    with campaign.store.reading() as connection:
        assert len(connection.execute(select(labels)).all()) == 1
    with pytest.raises(CampaignError, match="has used the idempotency key '1' for another request"):
        campaign.label("a/000.png", "cat", "ann", request="1", origin="page")


def test_confirmed_suggestions_are_counted_apart_and_never_held_out(make_campaign, storage):
    campaign = make_campaign(count=40, storage=storage, validation_share=0.5)
    campaign.query(40)
    paths = sorted(pick.path for pick in campaign.picks())
    campaign.label(paths[:20], "cat", "ann", origin="bulk")
    with campaign.store.reading() as connection:
        assert held_out_groups(connection) == set()
    campaign.label(paths[20:], "cat", "ann", origin="page")
    with campaign.store.reading() as connection:
        held_out, training_data = held_out_groups(connection), read_training_data(connection)
    assert len(held_out) == 10
    assert [known.path for known in training_data.labelled if not known.measures] == paths[:20]
    status = campaign.status()
    assert (status.labelled, status.confirmed, status.held_out) == (40, 20, 10)


def test_the_export_has_the_origin_and_can_be_imported_again(campaign, make_campaign, tmp_path):
    campaign.label("a/000.png", "cat", "ann", origin="bulk")
    campaign.label("b/001.png", "dog", "ann", origin="page")
    campaign.export("csv", tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open() as file:
        assert {row["path"]: row["origin"] for row in csv.DictReader(file)} == {
            "a/000.png": "bulk",
            "b/001.png": "page",
        }
    other = make_campaign(folder="other", images=campaign.images)
    other.import_labels(tmp_path / "labels.csv")
    assert other.labels() == campaign.labels()
    assert set(origins(other).values()) == {"import"}
