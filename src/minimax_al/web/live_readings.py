"""Readings of the live state, shared by all pages."""

import hashlib
import time
from threading import Lock

from sqlalchemy import Connection, select

from minimax_al.campaign import Campaign
from minimax_al.campaign.rounds.live_state import read_live_state
from minimax_al.campaign.store.history import last_event
from minimax_al.campaign.store.schema import classes
from minimax_al.live.batches import open_picks
from minimax_al.web.learner import Learner
from minimax_al.web.models import LearnerReport, Live, Suggestion

SHARED_SECONDS = 0.2
"""Time for which all pages share one reading, in seconds."""


class LiveReadings:
    """Shared readings of the live state, encoded once for all pages."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until = 0.0
        self._body = b""
        self._tag = ""

    def get(self, campaign: Campaign, learner: Learner | None) -> tuple[bytes, str]:
        """Return the body of the answer and its tag.

        Args:
            campaign: Open campaign.
            learner: Live learner; None if the page works in rounds.
        """
        with self._lock:  # concurrent requests wait for one reading
            if time.monotonic() >= self._until:
                live = read_live(campaign, None if learner is None else learner.report)
                self._body = live.model_dump_json().encode()
                self._tag = f'"{hashlib.blake2b(self._body, digest_size=12).hexdigest()}"'
                self._until = time.monotonic() + SHARED_SECONDS
            return self._body, self._tag


def read_live(campaign: Campaign, report: LearnerReport | None) -> Live:
    """Return the state of live labelling.

    Args:
        campaign: Open campaign.
        report: Report of the learner's process; None if the page works in rounds.
    """
    if report is None:
        return Live(learner=None, state=None, is_behind=False, waiting=0, free=0, suggestions=[])
    with campaign.store.reading() as connection:
        state = read_live_state(connection)
        waiting = [pick for pick in open_picks(connection, campaign.lease_clock()) if pick.waits]
        names = _class_names(connection)
        suggestions = [
            Suggestion(item=pick.item_id, class_name=names[pick.suggestion], confidence=pick.confidence)
            for pick in waiting
            if pick.suggestion is not None
        ]
        return Live(
            learner=report,
            state=state,
            is_behind=last_event(connection) > (0 if state is None else state.last_label),
            waiting=len(waiting),
            free=sum(pick.is_free for pick in waiting),
            suggestions=suggestions,
        )


def _class_names(connection: Connection) -> dict[int, str]:
    return {row.id: row.name for row in connection.execute(select(classes.c.id, classes.c.name))}
