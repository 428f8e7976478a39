"""The recipe `vaal-code`: for every data set of the paper, steps whatever the labels, the control of equal work."""

import pytest

from minimax_al.benchmark import list_presets, load_protocol
from minimax_al.benchmark.runs.cell import run_cell

PAPER = {
    # Training images, batch: 100 passes over all of them.
    "cifar100": (50_000, 128),
    "cifar100-5000": (50_000, 128),
    "cifar100-imbalanced": (14_580, 128),
    "imagenet": (1_281_167, 128),
    "inaturalist2018": (437_513, 128),
    "bdd100k": (7_000, 16),
    "ablation": (50_000, 128),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_published_loop_for_every_data_set_of_the_paper(name):
    images, batch = PAPER[name]
    protocol, paper = load_protocol(name, "vaal-code"), load_protocol(name, "paper")
    task = protocol.recipe.task
    assert (task.optimizer, task.learning_rate, task.momentum, task.weight_decay) == ("sgd", 0.01, 0.9, 5e-4)
    assert (task.schedule, task.batch_size, task.steps_per_epoch) == ("step", batch, 1000)
    assert task.total_steps == images * 100 // batch
    assert task.selection in {5000, round(0.1 * images), 128_120}
    assert protocol.recipe.minimax == paper.recipe.minimax
    assert protocol.start + protocol.step * (protocol.points - 1) <= images - task.selection


@pytest.mark.parametrize("name", list_presets())
def test_every_preset_lists_the_control_of_equal_work(name):
    strategies = load_protocol(name).strategies
    assert "random-equal-work" in strategies
    assert len(set(strategies)) == len(strategies)


def test_steps_do_not_depend_on_the_labels_and_kept_images_leave_the_pool(tiny, tmp_path):
    task = tiny.recipe.task.model_copy(
        update={"optimizer": "sgd", "schedule": "step", "total_steps": 7, "steps_per_epoch": 3, "selection": 100}
    )
    protocol = tiny.model_copy(update={"recipe": tiny.recipe.model_copy(update={"task": task}), "points": 3})
    dataset = protocol.load()
    drawn = protocol.dataset_for(dataset, 1)
    assert len(drawn.train) == len(dataset.train) - 100
    assert not set(drawn.selection.names) & set(drawn.train.names)
    rounds = run_cell(protocol, dataset, "random", 1, tmp_path)
    assert [result.steps for result in rounds] == [7, 7, 7]
    assert [result.labels for result in rounds] == [20, 40, 60]
    assert "selection" in rounds[0].losses["task"]
