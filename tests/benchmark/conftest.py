"""A protocol small enough to run in a second or two a cell."""

import pytest

from minimax_al.benchmark import Protocol, load_protocol

TINY_RECIPE = {
    "encoder": "conv4",
    "width": 4,
    "augmentation": {"flip": False},
    "minimax": {"epochs": 2, "steps_per_epoch": 2, "batch_size": 16, "checkpoint_every": 1},
    "task": {"epochs": 2, "steps_per_epoch": 2, "checkpoint_every": 1},
    "vaal": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 8, "widths": [4, 4, 4, 4], "checkpoint_every": 1},
    "runtime": {"device": "cpu", "precision": "fp32", "threads": 1},
}


@pytest.fixture
def tiny() -> Protocol:
    return load_protocol("digits", recipe="default").model_copy(
        update={
            "recipe": load_protocol("digits").recipe.model_validate(TINY_RECIPE),
            "strategies": ("random", "mal"),
            "points": 3,
            "seeds": 2,
        }
    )
