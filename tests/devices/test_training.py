"""The whole loop on a pretended accelerator: weights, picks and metrics are those of the CPU, bit for bit."""

from dataclasses import replace

import pytest
import torch

from minimax_al.data import Augmentation
from minimax_al.strategies import get_strategy
from minimax_al.testing import make_round
from minimax_al.training import evaluate, fit_supervised
from minimax_al.training.build import build_minimax_networks
from minimax_al.training.minimax import MinimaxTraining

CONSISTENT = {"consistency_weight": 1.0, "consistency_threshold": 0.4}


def with_minimax(round_, **settings):
    minimax = round_.recipe.minimax.model_copy(update=settings)
    augmentation = Augmentation(flip=True, pad_crop=2, input_size=16)
    return replace(round_, recipe=round_.recipe.model_copy(update={"minimax": minimax, "augmentation": augmentation}))


def there(round_, runtime, *, resident=True):
    """The same round on the accelerator; images that are not resident there travel batch by batch."""
    dataset = round_.dataset
    if resident:
        dataset = replace(dataset, train=dataset.train.to(runtime.device), test=dataset.test.to(runtime.device))
    return replace(round_, dataset=dataset, runtime=runtime)


def everything(round_, strategy):
    models = strategy.fit(round_)
    query = strategy.query(round_, models, 4)
    state = {f"{n}.{key}": v.cpu() for n, net in models.networks.items() for key, v in net.state_dict().items()}
    return models, state, {"picks": query.indices, **query.scores}, evaluate(round_, models)


@pytest.mark.parametrize(
    ("name", "task", "settings"),
    [
        ("mal", "classification", CONSISTENT),
        ("mal", "classification", {"update": "joint", "detach": False}),
        ("mal", "segmentation", {}),
        ("vaal", "classification", {}),
        ("batchbald", "classification", {}),
        ("coreset", "segmentation", {}),
    ],
)
def test_the_device_changes_nothing(name, task, settings, device, runtime_there):
    round_, strategy = with_minimax(make_round(task), **settings), get_strategy(name)
    _, state, scores, evaluation = everything(round_, strategy)
    runtime = runtime_there(round_.recipe.runtime)
    with device():
        elsewhere = there(round_, runtime, resident=task == "classification")
        models, state_there, scores_there, evaluation_there = everything(elsewhere, strategy)
        assert all(value.is_cuda for net in models.networks.values() for value in net.state_dict().values())
    for expected, found in ((state, state_there), (scores, scores_there)):
        assert found.keys() == expected.keys()
        assert [key for key in expected if not torch.equal(found[key], expected[key])] == []
    assert evaluation_there == evaluation


class Interruption(Exception):  # noqa: N818 - nothing is wrong
    """What ends a training after its first epoch."""


def interrupt(name, done, epochs, losses):
    raise Interruption(name)


def test_a_training_goes_on_there_from_its_checkpoint(tmp_path, device, runtime_there):
    round_ = make_round()
    task = round_.recipe.task.model_copy(update={"epochs": 2, "checkpoint_every": 1})
    round_ = replace(round_, recipe=round_.recipe.model_copy(update={"task": task}))
    expected = fit_supervised(round_).task_model.state_dict()
    runtime = runtime_there(round_.recipe.runtime)
    with device():
        elsewhere = replace(there(round_, runtime), folder=tmp_path)
        with pytest.raises(Interruption, match="task"):
            fit_supervised(replace(elsewhere, progress=interrupt))
        resumed = {key: value.cpu() for key, value in fit_supervised(elsewhere).task_model.state_dict().items()}
    assert [key for key in expected if not torch.equal(resumed[key], expected[key])] == []


@pytest.mark.parametrize(
    ("settings", "resident"),
    [({}, False), (CONSISTENT, True), ({"entropy_weight": 0.0}, True), ({"update": "joint", "detach": False}, True)],
)
def test_no_step_of_training_waits_for_the_device(settings, resident, device, runtime_there):
    """Otherwise the device is idle while the CPU prepares the next step."""
    round_ = with_minimax(make_round(), **settings)
    minimax, runtime = round_.recipe.minimax, runtime_there(round_.recipe.runtime)
    networks = build_minimax_networks(round_, minimax)
    with device() as places:
        round_ = there(round_, runtime, resident=resident)
        training = MinimaxTraining(*networks, minimax, runtime)
        labelled = round_.labelled_batches("minimax", 6, 0, 2)
        unlabelled = round_.unlabelled_pairs("minimax", 6, 0, 2)
        places.waits.clear()
        for (x, y), (weak, strong) in zip(labelled, unlabelled, strict=True):
            training.step(x, y, weak, strong if settings == CONSISTENT else None)
        assert places.waits == []


def test_images_travel_without_waiting(device, runtime_there):
    runtime = runtime_there(make_round().recipe.runtime)
    with device() as places:
        assert runtime.send(torch.ones(100_000)).is_cuda
        assert runtime.send(torch.ones(3).to("cuda")).is_cuda
        assert places.waits == ["to cuda"]  # the test's own
