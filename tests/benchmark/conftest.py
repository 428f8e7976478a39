"""A protocol small enough to run in a second or two a cell, and runs of it that tests share."""

import shutil

import pytest

from minimax_al.benchmark import Protocol, load_protocol, run_grid

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


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Run a protocol once; further calls copy its results."""
    runs = {}

    def run(protocol, out):
        key = protocol.model_dump_json()
        if key not in runs:
            runs[key] = tmp_path_factory.mktemp("grid")
            run_grid(protocol, runs[key])
        shutil.copytree(runs[key], out, dirs_exist_ok=True)
        return out

    return run
