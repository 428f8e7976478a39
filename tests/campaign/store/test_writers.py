"""The benchmark of processes that write without a pause, small."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def writers(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)  # the processes find it there, too
    import campaign_writers

    return campaign_writers


def test_processes_that_never_pause_share_the_store_and_lose_nothing(writers, make_campaign, storage):
    campaign = make_campaign(count=12, classes=writers.CLASSES, storage=storage)
    done = writers.attack(campaign.folder, 3, threads=2, seconds=1.0, images=12)
    assert [refusal for writes in done for refusal in writes.refusals] == []
    assert writers.lost(campaign, done) == []
    shares = [len(writes.seconds) for writes in done]
    assert min(shares) > max(shares) / 2
    assert len(writers.summary(done, 1.0)) == 3


def test_a_lost_label_is_noticed(writers, make_campaign):
    campaign = make_campaign()
    campaign.label(1, "cat", author="writer 0")
    done = [writers.Writes(seconds=[0.1, 0.1]), writers.Writes()]
    assert writers.lost(campaign, done) == ["writer 0: 2 labels acknowledged, 1 in the history"]
