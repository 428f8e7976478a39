"""Small run of the load benchmark, and tests that it detects the faults it looks for."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "campaign_load.py"


@pytest.fixture(scope="module")
def load():
    spec = importlib.util.spec_from_file_location("campaign_load", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_three_annotators_lose_no_answer_when_the_server_is_killed(load):
    ledger, seconds = load.run(people=3, images=60, kill=True)
    assert ledger.faults == []
    assert {author for author, said in ledger.said.items() if said} <= {f"person {number}" for number in range(3)}
    labelled = {one.item for said in ledger.said.values() for one in said if one.kind == "label"}
    assert len(labelled) == 60
    lines = list(load.summary(ledger, seconds))
    assert any(line.startswith("POST /api/label") for line in lines)


@pytest.fixture
def finished(load, campaign):
    """A campaign that one annotator has labelled, and the ledger of acknowledged answers."""
    ledger = load.Ledger(middle=4)
    for pick in campaign.picks():
        campaign.label(pick.item, "cat", author="ann")
        ledger.note(load.Said("ann", pick.item, "label", "cat"))
    campaign.undo("ann", 1)
    campaign.label(1, "dog", author="ann")
    ledger.note(load.Said("ann", 1, "undo", None))
    ledger.note(load.Said("ann", 1, "label", "dog"))
    return campaign, ledger


def test_correct_work_has_no_fault(load, finished):
    assert load.check(*finished, 8) == []
    assert finished[1].half.is_set()


def test_lost_duplicate_and_unexpected_answers_are_faults(load, finished):
    campaign, ledger = finished
    ledger.note(load.Said("ann", 2, "label", "dog"))
    assert "promised 11 answers, and the history has 10" in load.check(campaign, ledger, 8)[0]
    campaign.label(2, "dog", author="ann")
    assert load.check(campaign, ledger, 8) == []
    campaign.label(2, "dog", author="ann")
    assert "is too many or too few" in load.check(campaign, ledger, 8)[0]
    campaign.unsure(3, author="bob")
    assert any("bob was promised 0 answers" in fault for fault in load.check(campaign, ledger, 8))


def test_unfinished_work_is_a_fault(load, finished):
    campaign, ledger = finished
    campaign.undo("ann", 4)
    ledger.note(load.Said("ann", 4, "undo", None))
    assert load.check(campaign, ledger, 8) == ["7 of 8 images are labelled, and 1 wait"]


def test_an_image_leased_twice_is_a_fault(load):
    ledger = load.Ledger(middle=1)
    ledger.take("ann", [1, 2])
    ledger.take("ann", [1])
    ledger.give(1)
    ledger.take("bob", [1, 2])
    assert ledger.faults == ["image 2 was leased to bob while ann had it"]
