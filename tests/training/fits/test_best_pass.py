"""Choice of the best pass: measured on its own images, kept over interruptions, first of equals."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from minimax_al.data import with_selection
from minimax_al.errors import ConfigurationError
from minimax_al.strategies import get_strategy
from minimax_al.testing import make_round
from minimax_al.training import fit_supervised
from minimax_al.training.epochs import run_epochs
from minimax_al.training.evaluation import accuracy
from minimax_al.training.fits.best_pass import BestPass, with_best_pass
from minimax_al.training.task import TaskTraining


def with_settings(round_, **changes):
    task = round_.recipe.task.model_copy(update=changes)
    dataset = round_.dataset
    if "selection" in changes:
        # The pool stays as it is: the test images of the small round are its training images.
        dataset = replace(dataset, selection=dataset.test, selection_targets=dataset.test_targets)
    return replace(round_, dataset=dataset, recipe=round_.recipe.model_copy(update={"task": task}))


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_m_has_the_weights_of_its_best_pass(task, monkeypatch):
    round_ = with_settings(make_round(task), epochs=6, steps_per_epoch=3, learning_rate=0.05, selection=24)
    after = []
    finish = BestPass.finish_epoch

    def watched(self):
        found = finish(self)
        after.append(deepcopy(self.task_model.state_dict()))
        return found

    monkeypatch.setattr(BestPass, "finish_epoch", watched)
    models = fit_supervised(round_)
    scores = [epoch["selection"] for epoch in models.history["task"]]
    assert len(scores) == 6
    best = scores.index(max(scores))
    assert all(torch.equal(value, after[best][name]) for name, value in models.task_model.state_dict().items())
    if task == "classification":
        (x,) = round_.feed.plain(round_.dataset.selection, torch.arange(24), 24)
        with torch.no_grad():
            assert accuracy(models.task_model(x), round_.dataset.selection_targets) == pytest.approx(max(scores))
    # The choice changes nothing about the training itself.
    without = fit_supervised(with_settings(make_round(task), epochs=6, steps_per_epoch=3, learning_rate=0.05))
    assert [epoch["classification"] for epoch in without.history["task"]] == [
        epoch["classification"] for epoch in models.history["task"]
    ]


def test_the_first_of_equal_passes_is_kept_also_after_an_interruption(tmp_path):
    round_ = with_settings(make_round(), epochs=4, steps_per_epoch=1, learning_rate=0.01, checkpoint_every=1)
    settings, scores = round_.recipe.task, iter([0.2, 0.5, 0.5, 0.1])

    class StopError(Exception):
        pass

    def train(measure, stop=None):
        model = deepcopy(first)
        chosen = BestPass(TaskTraining(model, settings, round_.runtime), model, measure)
        states = []

        def batches(epoch):
            if epoch:
                states.append(deepcopy(model.state_dict()))
            if epoch == stop:
                raise StopError
            return round_.labelled_batches("task", 6, epoch, 1)

        run_epochs(
            "task", chosen, settings, batches, steps=1, seed=0, device=round_.runtime.device, checkpoint=tmp_path / "m"
        )
        chosen.keep_best()
        return model, states

    first = fit_supervised(round_).task_model
    with pytest.raises(StopError):
        train(lambda: next(scores), stop=3)
    model, _ = train(lambda: next(scores))
    (tmp_path / "m").unlink()
    again = iter([0.2, 0.5, 0.5, 0.1])
    whole, states = train(lambda: next(again))
    second = states[1]
    assert all(torch.equal(value, second[name]) for name, value in whole.state_dict().items())
    assert all(torch.equal(value, second[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["random", "mal", "learning_loss", "bald"])
def test_every_training_of_m_chooses(name):
    round_ = with_settings(make_round(), epochs=2, selection=24)
    models = get_strategy(name).fit(round_)
    assert ["selection" in epoch for epoch in models.history["task"]] == [True, True]
    assert not any(network.training for network in models.networks.values())


def test_without_images_to_choose_on_it_is_refused():
    round_ = make_round()
    round_ = replace(
        round_, recipe=round_.recipe.model_copy(update={"task": round_.recipe.task.model_copy(update={"selection": 5})})
    )
    with pytest.raises(ConfigurationError, match=r"task\.selection=5 chooses the best pass on images outside of the"):
        with_best_pass(round_, None, None)


def test_images_to_choose_on_leave_the_pool_and_keep_the_test_set():
    dataset = make_round().dataset
    drawn = with_selection(dataset, 7, seed=3)
    names = set(drawn.selection.names) | set(drawn.train.names)
    assert (len(drawn.selection), len(drawn.train), len(names)) == (7, 17, 24)
    positions = [dataset.train.names.index(name) for name in drawn.selection.names]
    assert drawn.selection_targets.tolist() == dataset.train_targets[positions].tolist()
    assert drawn.test is dataset.test
    assert with_selection(dataset, 7, seed=4).selection.names != drawn.selection.names
    with pytest.raises(ConfigurationError, match="selection=24 images cannot be kept of 24 training images"):
        with_selection(dataset, 24, seed=0)
