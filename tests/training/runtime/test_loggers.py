"""Losses and metrics in the loggers of Lightning Fabric and in any other of their interface."""

import csv
from dataclasses import replace

import pytest
import torch
from lightning_fabric.loggers.logger import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from minimax_al import ActiveLearner
from minimax_al.errors import MissingDependencyError, UnknownNameError
from minimax_al.strategies import get_strategy
from minimax_al.testing import make_round
from minimax_al.training.runtime.loggers import RunLog, build_logger


class Notes(Logger):
    """A logger as other packages write them."""

    name, version = "notes", "0"

    def __init__(self):
        self.rows, self.settings, self.ended = [], {}, []

    def log_metrics(self, metrics, step=None):
        self.rows.append((step, dict(metrics)))

    def log_hyperparams(self, params):
        self.settings = params

    def finalize(self, status):
        self.ended.append(status)


@pytest.fixture
def learner():
    def made(logger, strategy="mal", folder=None):
        round_ = make_round()
        task = round_.recipe.task.model_copy(update={"epochs": 2, "checkpoint_every": 1})
        learner = ActiveLearner(
            round_.dataset, strategy, round_.recipe.model_copy(update={"task": task}), logger=logger, folder=folder
        )
        learner.teach(round_.labelled, round_.dataset.train_targets[round_.labelled])
        return learner

    return made


def test_losses_have_their_steps_and_metrics_their_labels(learner):
    notes = Notes()
    active = learner(notes)
    models = active.fit()
    metrics = active.evaluate().metrics
    game, first, second, tested = notes.rows
    # Two steps of the game, then two epochs of two steps of M.
    assert [row[0] for row in notes.rows] == [2, 4, 6, 9]
    assert game[1] == {f"minimax/{name}": value for name, value in models.history["minimax"][0].items()}
    assert [first[1], second[1]] == [{"task/classification": e["classification"]} for e in models.history["task"]]
    assert tested[1] == {f"test/{name}": value for name, value in metrics.items()}
    active.teach(torch.tensor([3]), active.dataset.train_targets[[3]])
    active.fit()
    assert [row[0] for row in notes.rows[4:]] == [8, 10, 12]


def test_a_log_changes_no_number(learner):
    with_log, without = learner(Notes()), learner(None)
    one, other = with_log.fit().task_model.state_dict(), without.fit().task_model.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_epochs_before_an_interruption_are_logged_again(learner, tmp_path):
    whole, notes = Notes(), Notes()
    learner(whole).fit()
    learner(None, folder=tmp_path).fit()
    learner(notes, folder=tmp_path).fit()
    assert notes.rows == whole.rows


def test_members_of_an_ensemble_have_names_of_their_own():
    notes = Notes()
    round_ = replace(make_round(), log=RunLog(notes))
    get_strategy("ensemble", members=3).fit(round_)
    assert [next(iter(row[1])).split("/")[0] for row in notes.rows] == ["task", "member-1", "member-2"]


def test_csv_and_tensorboard_files(learner, tmp_path):
    for kind in ("csv", "tensorboard"):
        for _ in range(2):
            logger = build_logger(kind, tmp_path / kind / "run")
            active = learner(logger)
            active.fit()
            accuracy = active.evaluate().metrics["accuracy"]
            logger.finalize("success")
    for version in ("version_0", "version_1"):
        with (tmp_path / "csv" / "run" / version / "metrics.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["test/accuracy"]]
        assert [(row["step"], float(row["test/accuracy"])) for row in rows] == [("9", pytest.approx(accuracy))]
        events = EventAccumulator(str(tmp_path / "tensorboard" / "run" / version))
        events.Reload()
        assert [(event.step, event.value) for event in events.Scalars("test/accuracy")] == [
            (9, pytest.approx(accuracy))
        ]
        assert [event.step for event in events.Scalars("task/classification")] == [4, 6]


def test_loggers_that_are_unknown_or_not_installed(tmp_path, monkeypatch):
    with pytest.raises(UnknownNameError, match="unknown logger 'tensorbord'; did you mean 'tensorboard'"):
        build_logger("tensorbord", tmp_path)

    def missing(*_, **__):
        raise ModuleNotFoundError

    monkeypatch.setattr("lightning_fabric.loggers.tensorboard.TensorBoardLogger", missing)
    with pytest.raises(MissingDependencyError, match=r"--logger tensorboard needs the package 'tensorboard': pip ins"):
        build_logger("tensorboard", tmp_path)
