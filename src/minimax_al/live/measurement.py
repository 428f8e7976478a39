"""Measurement of a live fit, in steps of a fraction of a second, so that answers do not wait for it. Loads torch."""

import shutil
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from sqlalchemy import Row

from minimax_al.campaign.model.earlier_models import measure_earlier
from minimax_al.campaign.model.label_predictions import LabelPredictions
from minimax_al.campaign.model.measuring import measure
from minimax_al.campaign.progress.label_errors import OUT_OF_FOLD
from minimax_al.campaign.progress.runs import (
    LIVE_RUN,
    PREDICTIONS,
    done_run,
    done_runs,
    finish_run,
    run_folder,
    start_run,
    write_curve,
)
from minimax_al.campaign.rounds.live_state import LastAnswers, LiveState, write_live_state
from minimax_al.deployment.model_file import save_trained
from minimax_al.durable import new_folder
from minimax_al.live.fit import LiveFit
from minimax_al.training import Evaluation

T = TypeVar("T")

LAST = 10
"""Number of latest answers whose effect is measured."""

_POINTS, _SPACING = 8, 0.75
"""Earlier points of the learning curve that are measured again, and the ratio of their numbers of labels."""

_GROWTH = 1.1
"""Growth of the number of labels after which the earlier points are measured again."""

_KEPT = 3
"""Number of latest live runs whose models are kept."""


class Write(Protocol):
    """Function that runs a write transaction, and returns its result."""

    def __call__(self, transaction: Callable[[], T], /) -> T:
        """Run the transaction."""


def run_here(transaction: Callable[[], T]) -> T:
    """Run a write transaction in this thread."""
    return transaction()


class Measurement:
    """Measurement of one fit: accuracy, effect of the last answers, learning curve, and the files of its run.

    Args:
        fit: Fit to measure.
        earlier: Measurement before; its curve is kept while the labels are about the same.
        write: Function that runs a write transaction.
    """

    def __init__(self, fit: LiveFit, earlier: "Measurement | None" = None, write: Write = run_here) -> None:
        self.fit = fit
        self._write = write
        self.labels = len(fit.training_data.labelled)
        self.curve: dict[int, dict[str, float]] = {}
        self.curve_labels = 0
        if earlier is not None and earlier.curve_labels <= self.labels:
            self.curve, self.curve_labels = earlier.curve, earlier.curve_labels

    def steps(self) -> Generator[None, None, LiveState]:
        """Measure, and yield after each step: the accuracy is published first, then the learning curve.

        Returns:
            The published state.
        """
        if self.fit.training_data.held_out:
            found = measure(self.fit.learner.round, self._models(), self.fit.context.settings.seed)
            yield
            return self._publish(found, None)
        predicted = LabelPredictions(self.fit.learner, self.fit.training_data.labelled)
        yield from predicted.predict_in_steps()
        self.fit.predicted_labels = predicted
        found = predicted.evaluate(self.fit.context.store)
        last = yield from self._effect_of_last(predicted, found)
        is_current = self.labels <= _GROWTH * self.curve_labels
        state = self._publish(found, last)
        if is_current:
            return state
        yield
        yield from self._measure_curve(predicted)
        return self._publish_curve()

    def _models(self) -> Any:  # noqa: ANN401 - the networks of any strategy
        models = self.fit.learner.models
        assert models is not None
        return models

    def _effect_of_last(
        self, predicted: LabelPredictions, found: Evaluation
    ) -> Generator[None, None, LastAnswers | None]:
        if self.labels < 2 * LAST or "accuracy" not in found.metrics:
            return None
        before = yield from predicted.measure_earlier_in_steps(self.labels - LAST)
        if before is None or "accuracy" not in before:
            return None
        return LastAnswers(LAST, before["accuracy"], found.metrics["accuracy"])

    def _measure_curve(self, predicted: LabelPredictions) -> Generator[None]:
        with self.fit.context.store.reading() as connection:
            finished = done_runs(connection)
        curve = {}
        for run in spaced(finished, self.labels):
            metrics = yield from predicted.measure_earlier_in_steps(run.labels)
            if metrics is not None:
                curve[run.id] = metrics
        self.curve, self.curve_labels = curve, self.labels

    def _publish(self, found: Evaluation, last: LastAnswers | None) -> LiveState:
        """Write the run's files, then mark the run as done and publish its score in one transaction."""
        fit, context = self.fit, self.fit.context
        run_id = self._run_id()
        folder = run_folder(context.folder, run_id)
        shutil.rmtree(folder, ignore_errors=True)  # remains of a learner that was killed here
        trained = fit.trained(run_id, found)
        with new_folder(folder) as part:
            save_trained(part, trained)
            write_curve(part, self._earlier_points(trained, run_id))
            np.savez(part / PREDICTIONS, **fit.predictions())
            fit.keep_pool_scores(part)
            if fit.predicted_labels is not None:
                fit.predicted_labels.save(part / OUT_OF_FOLD)

        def publish() -> LiveState:
            with context.store.writing() as connection:
                finish_run(connection, run_id, found.metrics, context.now(), fit.training_data.last_label)
                return write_live_state(connection, measured=self.labels, last_answers=last)

        published = self._write(publish)
        self._remove_old_folders()
        return published

    def _publish_curve(self) -> LiveState:
        """Replace the curve in the run's folder, and tell the pages."""
        folder = run_folder(self.fit.context.folder, self._run_id())
        if folder.is_dir():
            write_curve(folder, {run: metrics for run, metrics in self.curve.items() if run != self.fit.run_id})

        def publish() -> LiveState:
            with self.fit.context.store.writing() as connection:
                return write_live_state(connection)

        return self._write(publish)

    def _run_id(self) -> int:
        def record() -> int:
            with self.fit.context.store.writing() as connection:
                return record_run(connection, self.fit)

        if self.fit.run_id is None:
            self.fit.run_id = self._write(record)
        return self.fit.run_id

    def _earlier_points(self, trained: Any, run_id: int) -> dict[int, dict[str, float]]:  # noqa: ANN401 - `Trained`
        if not self.fit.training_data.held_out:
            return {run: metrics for run, metrics in self.curve.items() if run != run_id}
        with self.fit.context.store.reading() as connection:
            finished = [run for run in done_runs(connection) if run.id != run_id]
        return measure_earlier(self.fit.learner, trained, self.fit.context.folder, finished)

    def _remove_old_folders(self) -> None:
        """Remove the models of all live runs but the latest; their scores stay in the database."""
        with self.fit.context.store.reading() as connection:
            live = [run.id for run in done_runs(connection) if run.fingerprint.startswith(LIVE_RUN)]
        for run_id in live[:-_KEPT]:
            shutil.rmtree(run_folder(self.fit.context.folder, run_id), ignore_errors=True)


def record_run(connection: Any, fit: LiveFit) -> int:  # noqa: ANN401 - a connection
    """Return the id of the run that records a fit.

    Args:
        connection: Connection in a write transaction.
        fit: Fit.
    """
    before = done_run(connection, fit.fingerprint)
    if before is not None:
        known: int = before.id
        return known
    sizes = {"labels": len(fit.training_data.labelled), "held_out": len(fit.training_data.held_out)}
    return start_run(connection, fit.name, fit.fingerprint, now=fit.context.now(), **sizes)


def spaced(finished: Sequence[Row[Any]], labels: int) -> list[Row[Any]]:
    """Return earlier runs whose numbers of labels are about evenly spaced on a logarithmic axis, fewest first.

    Args:
        finished: Runs, oldest first; of several with the same number of labels, the last counts.
        labels: Number of labels of the latest model.
    """
    latest = {run.labels: run for run in finished if run.labels < labels}
    wanted = [labels * _SPACING**step for step in range(1, _POINTS + 1)]
    chosen = {min(latest, key=lambda known: abs(known - number)) for number in wanted} if latest else set()
    return [latest[number] for number in sorted(chosen)]
