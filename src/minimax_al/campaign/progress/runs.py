"""Training runs in the database: their labels, outcome and scores."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, select, update

from minimax_al.campaign.progress.headline import measured_on
from minimax_al.campaign.store.schema import runs
from minimax_al.durable import write_durably

PREDICTIONS = "predictions.npz"
CURVE = "curve.json"

LIVE_RUN = "live "
"""Start of the fingerprints of live runs. Such a run is "running" until it is measured, which few are."""


class Measured(NamedTuple):
    """Measurement of a run's model.

    Attributes:
        labels: Number of labels that it was trained on.
        measured_on: Number of labels that it was measured on: held-out ones, or all by cross-validation.
        metrics: Metrics by name.
    """

    labels: int
    measured_on: int
    metrics: Mapping[str, float]


def start_run(
    connection: Connection, strategy: str, fingerprint: str, *, labels: int, held_out: int, now: datetime
) -> int:
    """Return the id of the run for a training; an interrupted one keeps its id.

    Args:
        connection: Connection in a write transaction.
        strategy: Strategy that trains.
        fingerprint: Hash of everything that the training depends on.
        labels: Number of labels to train on.
        held_out: Number of images to measure on.
        now: Current time.
    """
    same = select(runs.c.id).where(runs.c.fingerprint == fingerprint, runs.c.state != "done").order_by(runs.c.id.desc())
    run_id: int | None = connection.execute(same.limit(1)).scalar()
    if run_id is not None:
        connection.execute(update(runs).where(runs.c.id == run_id).values(state="running", message=None))
        return run_id
    values = {"strategy": strategy, "fingerprint": fingerprint, "labels": labels, "held_out": held_out}
    insert = runs.insert().values(state="running", metrics={}, started_at=now, **values)
    started: int = connection.execute(insert.returning(runs.c.id)).scalar_one()
    return started


def finish_run(
    connection: Connection, run_id: int, metrics: Mapping[str, float], now: datetime, last_label: int
) -> None:
    """Mark a run as done.

    Args:
        connection: Connection in a write transaction.
        run_id: Id of the run.
        metrics: Metrics by name.
        now: Current time.
        last_label: Id of the latest row of the label history that it was trained on.
    """
    values = {"state": "done", "metrics": dict(metrics), "finished_at": now, "message": None, "last_label": last_label}
    connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


def fail_run(connection: Connection, run_id: int, message: str, now: datetime) -> None:
    """Mark a run as failed, with the reason."""
    failed = update(runs).where(runs.c.id == run_id, runs.c.state == "running")
    connection.execute(failed.values(state="failed", message=message, finished_at=now))


def done_runs(connection: Connection) -> list[Row[Any]]:
    """Return the runs that are done, oldest first."""
    return list(connection.execute(select(runs).where(runs.c.state == "done").order_by(runs.c.finished_at, runs.c.id)))


def done_run(connection: Connection, fingerprint: str) -> Row[Any] | None:
    """Return the run that trained exactly this, or None."""
    same = select(runs).where(runs.c.fingerprint == fingerprint, runs.c.state == "done")
    return connection.execute(same.order_by(runs.c.id.desc()).limit(1)).first()


def run_folder(campaign: Path, run_id: int) -> Path:
    """Return the folder of a run's model."""
    return campaign / "models" / f"run-{run_id:04d}"


def write_curve(folder: Path, metrics: Mapping[int, Mapping[str, float]]) -> None:
    """Write the metrics of earlier models on a run's held-out images, by run, into its folder."""
    write_durably(folder / CURVE, json.dumps(metrics).encode())


def measured_alike(campaign: Path, finished: Sequence[Row[Any]]) -> list[Measured]:
    """Return all models that were measured on the images of the last run, in the order of training.

    Runs of an older version, which did not measure again, keep their own measurements.
    """
    if not finished:
        return []
    last, again = finished[-1], _read_curve(run_folder(campaign, finished[-1].id))
    if again is None:
        return [Measured(run.labels, measured_on(run.metrics, run.held_out), run.metrics) for run in finished]
    count = measured_on(last.metrics, last.held_out)
    earlier = [Measured(run.labels, count, again[str(run.id)]) for run in finished if str(run.id) in again]
    return [*earlier, Measured(last.labels, count, last.metrics)]


def _read_curve(folder: Path) -> dict[str, dict[str, float]] | None:
    try:
        content: dict[str, dict[str, float]] = json.loads((folder / CURVE).read_bytes())
    except (OSError, ValueError):
        return None
    return content


def agreement(campaign: Path, before: int, after: int) -> float | None:
    """Return the share of images for which two runs' models predict the same class; None without a common image.

    Stabilising predictions (Bloodgood and Vijay-Shanker 2009): if models of successive rounds agree on almost
    every image of a fixed sample, more labels change little.
    """
    found = [_predictions(run_folder(campaign, run)) for run in (before, after)]
    if found[0] is None or found[1] is None:
        return None
    (items_before, before_classes), (items_after, after_classes) = found[0], found[1]
    _, left, right = np.intersect1d(items_before, items_after, assume_unique=True, return_indices=True)
    return float((before_classes[left] == after_classes[right]).mean()) if len(left) else None


def _predictions(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    try:
        with (folder / PREDICTIONS).open("rb") as file, np.load(file) as arrays:
            return arrays["items"], arrays["predicted"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # a power cut may have left a part
        return None
