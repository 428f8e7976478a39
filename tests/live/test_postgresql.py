"""The learner's process on PostgreSQL: it learns, publishes, measures, and no second one learns with it."""

import io
import threading

import pytest

from minimax_al.campaign import Campaign
from minimax_al.campaign.rounds.live_state import LiveOptions, read_live_state
from minimax_al.web import learner_process

from ..support.campaigns import POSTGRESQL  # noqa: TID252 - shared fixtures
from ..support.feature_campaigns import CLASSES, class_of, write_clusters  # noqa: TID252 - shared fixtures


class Reports(io.StringIO):
    """Stream of a process's reports that others can wait for."""

    def __init__(self):
        super().__init__()
        self.changed = threading.Condition()

    def write(self, text):
        with self.changed:
            super().write(text)
            self.changed.notify_all()
        return len(text)

    def wait(self, text):
        with self.changed:
            assert self.changed.wait_for(lambda: text in self.getvalue(), timeout=60), self.getvalue()


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
@pytest.mark.skipif(POSTGRESQL is None, reason="MINIMAX_AL_TEST_POSTGRESQL names no PostgreSQL server")
def test_a_learner_works_alone_and_another_takes_over(make_campaign, storage, tmp_path, monkeypatch):
    for name in ("_lower_priority", "_use_half_of_the_processors"):
        monkeypatch.setattr(learner_process, name, lambda: None)
    monkeypatch.setattr(learner_process, "_STANDBY_SECONDS", 0.02)
    images, table = write_clusters(tmp_path / "pool", count=30)
    campaign = make_campaign(
        classes=CLASSES, images=images, recipe="features", features=str(table), near_duplicates="off", storage=storage
    )
    running = []

    def start():
        out, stop = Reports(), threading.Event()
        order = (campaign.folder, storage, LiveOptions(batch=6, random_share=0.0), out, stop)
        thread = threading.Thread(target=learner_process.learn, args=order, daemon=True)
        thread.start()
        running.append((thread, stop))
        return out

    def end():
        thread, stop = running.pop(0)
        stop.set()
        thread.join(60)
        assert not thread.is_alive()

    try:
        start().wait("learning")
        second = start()
        second.wait("standby")
        with Campaign.open(campaign.folder, storage) as other:  # as the server has it open
            label_until(other, 18, lambda state: state.labels == state.measured == 18)
            assert {pick.suggestion for pick in other.picks()} <= {*CLASSES, None}
            assert other.status().model.labels == 18
        assert "learning" not in second.getvalue()
        end()
        second.wait("learning")
    finally:
        while running:
            end()


def label_until(campaign, count, reached):
    """Answer with the truth, and return the state that reflects it."""
    done = 0
    for _ in range(3_000):
        with campaign.store.reading() as connection:
            state = read_live_state(connection)
        if done == count and reached(state):
            return state
        picked = campaign.lease("ann", min(6, count - done)).picks if done < count else []
        for pick in picked:
            campaign.label(pick.item, class_of(pick.path), "ann", origin="page")
        done += len(picked)
        threading.Event().wait(0.02)
    raise AssertionError(state)
