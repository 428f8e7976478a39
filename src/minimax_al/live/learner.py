"""Live learner: refits while annotators answer, chooses the next images, and publishes both. Loads torch.

One learner works on a campaign. Its work is cut into steps of a fraction of a second, the most urgent first:

1. New answers: fit, and publish suggestions, next images and state in one transaction.
2. Few images in the queue: choose more with the model of the last fit.
3. Otherwise: measure the last fit, one fold per step, and publish its score.

A learner that is killed leaves the database as its last transaction left it, and the next one goes on from there.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event

from sqlalchemy import Connection, func, select

from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.training_data import LabelledImage
from minimax_al.campaign.features.unlabelled_images import UnlabelledImage
from minimax_al.campaign.progress.runs import done_run
from minimax_al.campaign.rounds.live_state import LiveOptions, LiveState, write_live_state
from minimax_al.campaign.rounds.querying import RANDOM
from minimax_al.campaign.rounds.rounds import Choice, next_round_number
from minimax_al.campaign.settings.named_recipes import COLD_START_ON_FEATURES
from minimax_al.campaign.settings.settings import read_settings
from minimax_al.campaign.store.history import count_annotators, last_event
from minimax_al.campaign.store.schema import picks
from minimax_al.errors import StoreError
from minimax_al.live.batches import close_finished, open_batch, open_picks, update_suggestions
from minimax_al.live.features import LiveFeatures
from minimax_al.live.fit import LiveFit, choose_without_model
from minimax_al.live.measurement import Measurement, Write, record_run, run_here
from minimax_al.live.snapshot import Snapshot, SnapshotReader
from minimax_al.vocabulary import Progress

POLL_SECONDS = 0.1
"""Pause between two looks at the campaign when nothing is to be done, in seconds."""

FEW_ANSWERS, FEW_SECONDS = 3, 0.3
"""A fit waits for this number of answers, or for this time after the first one, in seconds."""

_ACTIVE_SECONDS = 15.0
"""Time after an answer for which its author counts as at work, in seconds."""

_LOOK_SECONDS = 1.0
"""Time between two looks at the settings and the list of images, in seconds."""

_RATE_SECONDS = 5.0
"""Time over which the rate of answers is counted, in seconds."""

_AHEAD_SECONDS = 2.0
"""Time for which the queue has images at the present rate of answers, in seconds."""

_PER_ANNOTATOR = 3
"""Number of free images for each annotator at work: an empty queue slows the answers, so that their rate is too low."""

_VISIBLE = 0.005
"""Smallest change of a confidence that is published."""


class LiveLearner:
    """Learner of one campaign.

    Args:
        context: Campaign that learns on features.
        options: Size of the batches and share of random draws.
        lease_clock: Clock of the leases; None for the campaign's.
        progress: Callback of the images whose features are computed.
        clock: Function that returns a time in seconds that never decreases.
        write: Function that runs a write transaction; a process of low priority runs it in a thread of usual priority,
            since annotators wait while the transaction holds the lock of writers.

    Attributes:
        fit: Fit to the latest labels; None before labels of two classes.
        state: Last published state; None before the first.
    """

    def __init__(
        self,
        context: CampaignContext,
        options: LiveOptions | None = None,
        *,
        lease_clock: Callable[[], datetime] | None = None,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.monotonic,
        write: Write = run_here,
    ) -> None:
        self.context = context
        self.options = options or LiveOptions()
        self.fit: LiveFit | None = None
        self.state: LiveState | None = None
        self._lease_clock = lease_clock or context.now
        self._progress = progress
        self._clock = clock
        self._write = write
        self._features = LiveFeatures(context)
        self._reader = SnapshotReader()
        self._seen = -1  # latest row of the history that is published
        self._seen_classes: tuple[int, ...] = ()
        self._unseen_since: float | None = None
        self._answers: deque[tuple[float, int]] = deque()
        self._looked = -math.inf
        self._exhausted = False  # nothing to choose until an answer or an image comes
        self._measured: Measurement | None = None
        self._steps: Generator[None, None, LiveState] | None = None
        self._annotators = 0  # number of annotators who answered a moment ago
        self._owed = 0.0  # seconds that measuring may take before the next fit

    def run(self, stop: Event) -> None:
        """Work until `stop` is set.

        Args:
            stop: Event that ends the work after the present step.
        """
        while not stop.is_set():
            try:
                is_busy = self.step()
            except StoreError:  # another writer was too long at work: nothing was changed
                is_busy = False
            if not is_busy:
                stop.wait(POLL_SECONDS)

    def step(self) -> bool:
        """Do the most urgent piece of work; return False if nothing is left."""
        begin = self._clock()
        # A stream of answers must not keep the accuracy from being measured: it has as much time as the fits.
        if self._owed > 0 and self._measure():
            self._owed -= self._clock() - begin
            return True
        self._look()
        if self._is_due() or self._queue_is_low():
            self._learn_and_choose()
            self._owed = self._clock() - begin
            return True
        return self._measure()

    def _look(self) -> None:
        """Read settings and list of images again, once in a while."""
        now = self._clock()
        if now - self._looked < _LOOK_SECONDS:
            return
        with self.context.store.reading() as connection:
            settings = read_settings(connection)
            images_changed = self._reader.has_new_images(connection)
            self._annotators = count_annotators(connection, self.context.now() - timedelta(seconds=_ACTIVE_SECONDS))
        if settings != self.context.settings:
            before, self.context = self.context, replace(self.context, settings=settings)
            self.fit = None
            if settings.features != before.settings.features:
                self._features, images_changed = LiveFeatures(self.context), True
            self._seen = -1
        if images_changed:
            self._features.compute(self._reader.images, self._progress)
            self._mark_lacking(self._reader.images)
            self._seen = -1
        self._looked = self._clock()

    def _mark_lacking(self, images: Sequence[LabelledImage | UnlabelledImage]) -> None:
        lacking = {image.id for image in images if not self._features.has(image)}
        self._reader.lacking |= lacking

    def _is_due(self) -> bool:
        """Return whether answers came that are to be learned from now."""
        with self.context.store.reading() as connection:
            newest, classes = last_event(connection), tuple(class_ids(connection).values())
        now = self._clock()
        self._count_answers(newest, now)
        if self._seen < 0 or classes != self._seen_classes:
            return True
        if newest == self._seen:
            self._unseen_since = None
            return False
        if self._unseen_since is None:
            self._unseen_since = now
        return newest - self._seen >= FEW_ANSWERS or now - self._unseen_since >= FEW_SECONDS

    def _count_answers(self, newest: int, now: float) -> None:
        self._answers.append((now, newest))
        while now - self._answers[0][0] > _RATE_SECONDS:
            self._answers.popleft()

    def _wanted(self) -> int:
        """Return the number of images that the queue should have: a batch, or more while many answer."""
        (start, before), (end, after) = self._answers[0], self._answers[-1]
        rate = (after - before) / max(end - start, 1.0)
        return max(self.options.batch, _PER_ANNOTATOR * self._annotators, math.ceil(_AHEAD_SECONDS * rate))

    def _queue_is_low(self) -> bool:
        if self._exhausted:
            return False
        with self.context.store.reading() as connection:
            free = sum(pick.is_free for pick in open_picks(connection, self._lease_clock()))
        return 2 * free < self._wanted()

    def _learn_and_choose(self) -> None:
        snapshot = self._read()
        if snapshot.classes_with_labels < 2:
            self.fit = None
        else:
            self.fit = LiveFit(self.context, snapshot, self._features, self.fit)
        choices, strategy = self._choose(snapshot)
        suggestions = self._changed_suggestions(snapshot)
        self._write(lambda: self._publish(snapshot, suggestions, choices, strategy))

    def _read(self) -> Snapshot:
        """Return the campaign as it is now; labelled images whose features are unknown are described first."""
        while True:
            with self.context.store.reading() as connection:
                snapshot = self._reader.read(connection, self._lease_clock())
            labelled = (*snapshot.training_data.labelled, *snapshot.training_data.held_out)
            if all(self._features.has(known) for known in labelled):
                return snapshot
            self._features.compute(labelled, self._progress)
            self._mark_lacking(labelled)

    def _choose(self, snapshot: Snapshot) -> tuple[list[Choice], str]:
        """Return the images of the next batch, and the strategy that chose them; none while the queue has enough."""
        wanted, pool = self._wanted(), len(snapshot.training_data.unlabelled)
        count = max(self.options.batch, wanted - snapshot.free) if 2 * snapshot.free < wanted else 0
        if count == 0 or pool == 0:
            return [], ""
        with self.context.store.reading() as connection:
            number = next_round_number(connection)
            before: int = connection.execute(select(func.count()).select_from(picks)).scalar_one()
        # An image of every kind first: a model of fewer labels than classes chooses worse than none.
        missing = self._first(snapshot) - len(snapshot.training_data.labelled) - len(snapshot.waiting)
        if self.fit is not None and missing <= 0:
            drawn = self._drawn_of(before, min(count, pool))
            return self.fit.choose_batch(count, drawn, number), self.fit.name
        count = min(max(count, missing), pool)
        drawn = self._drawn_of(before, count)
        chosen = choose_without_model(self.context, snapshot, self._features, count, at_random=drawn, number=number)
        return chosen, RANDOM if self.context.settings.strategy == RANDOM else COLD_START_ON_FEATURES

    def _first(self, snapshot: Snapshot) -> int:
        """Return the number of images that are chosen before a model chooses."""
        return max(self.options.batch, len(snapshot.class_ids))

    def _drawn_of(self, before: int, count: int) -> int:
        """Return how many of the next images are drawn at random; small batches have their share in turn."""
        share = self.options.random_share
        return math.floor(share * (before + count) + 1e-9) - math.floor(share * before + 1e-9)

    def _publish(
        self, snapshot: Snapshot, suggestions: dict[int, tuple[int, float]], choices: list[Choice], strategy: str
    ) -> None:
        """Publish suggestions, next images and state in one transaction."""
        with self.context.store.writing() as connection:
            if tuple(class_ids(connection).values()) != snapshot.class_ids:
                return  # the classes have changed meanwhile: the next step learns again
            update_suggestions(connection, suggestions)
            run_id = self._record_run(connection, choices)
            opened = self._open(connection, choices, strategy, run_id) if choices else None
            is_empty = not snapshot.training_data.unlabelled and 2 * snapshot.free < self._wanted()
            # Images that were skipped return when all others are answered.
            reopened = close_finished(connection, self.context.now()) if is_empty else 0
            is_done = is_empty and not reopened
            self.state = write_live_state(
                connection,
                batch=self.options.batch,
                random_share=self.options.random_share,
                labels=0
                if self.fit is None
                else len(self.fit.training_data.labelled) + len(self.fit.training_data.held_out),
                last_label=snapshot.training_data.last_label,
                reason="Every image has its answer." if is_done and not snapshot.waiting else None,
                **({"strategy": strategy} if opened is not None else {}),
            )
        if self.fit is not None and run_id is not None:
            self.fit.run_id = run_id
        self._exhausted = is_done
        self._seen, self._seen_classes = snapshot.training_data.last_label, snapshot.class_ids
        self._unseen_since = None

    def _record_run(self, connection: Connection, choices: list[Choice]) -> int | None:
        if self.fit is None:
            return None
        if self.fit.run_id is None and choices:
            return record_run(connection, self.fit)
        return self.fit.run_id

    def _open(self, connection: Connection, choices: list[Choice], strategy: str, run_id: int | None) -> int | None:
        by_model = strategy not in (COLD_START_ON_FEATURES, RANDOM)
        return open_batch(
            connection,
            choices,
            strategy=strategy,
            random_share=self.options.random_share,
            seed=self.context.settings.seed,
            run_id=run_id if by_model else None,
            now=self.context.now(),
        )

    def _changed_suggestions(self, snapshot: Snapshot) -> dict[int, tuple[int, float]]:
        if self.fit is None:
            return {}
        known = {pick.item_id: (pick.suggestion, pick.confidence or 0.0) for pick in snapshot.picks}
        return {
            item: new
            for item, new in self.fit.suggest(snapshot.waiting).items()
            if known[item][0] != new[0] or abs(known[item][1] - new[1]) >= _VISIBLE
        }

    def _measure(self) -> bool:
        """Do a step of the measurement of the last fit; return False if it is measured."""
        if self._steps is None:
            if self.fit is None or self._is_measured(self.fit):
                return False
            self._measured = Measurement(self.fit, self._measured, self._write)
            self._steps = self._measured.steps()
        try:
            next(self._steps)
        except StopIteration as end:
            self.state, self._steps = end.value, None
        except BaseException:
            self._steps = None
            raise
        return True

    def _is_measured(self, fit: LiveFit) -> bool:
        if self._measured is not None and self._measured.fit.fingerprint == fit.fingerprint:
            return True
        with self.context.store.reading() as connection:
            return done_run(connection, fit.fingerprint) is not None
