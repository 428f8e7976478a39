from dataclasses import replace

import pytest
import torch

from minimax_al.errors import CheckpointError
from minimax_al.testing import make_round
from minimax_al.training import fit_minimax, fit_supervised
from minimax_al.training.checkpoint import save_checkpoint
from minimax_al.training.model_file import build_model, describe_model, load_model, save_model


@pytest.mark.parametrize(
    ("task", "samples", "kind", "fit"),
    [
        ("classification", "images", "prototypes", fit_supervised),
        ("segmentation", "images", "prototypes", fit_supervised),
        ("classification", "features", "prototypes", fit_supervised),
        ("classification", "features", "linear", fit_supervised),
        ("classification", "features", "nearest_mean", fit_supervised),
        ("classification", "features", "prototypes", fit_minimax),
    ],
)
def test_a_model_that_is_read_back_predicts_the_same(tmp_path, task, samples, kind, fit):
    round_ = make_round(task, samples=samples)
    if samples == "features":  # a class without a label: its mask is part of the file
        kept = round_.labelled[round_.targets[round_.labelled] != 1]
        features = round_.recipe.features
        features = features.model_copy(update={"head": features.head.model_copy(update={"kind": kind})})
        recipe = round_.recipe.model_copy(update={"missing_classes": "warn", "features": features})
        round_ = replace(round_, labelled=kept, recipe=recipe)
    model = fit(round_).task_model
    save_model(tmp_path / "model.safetensors", model, round_.dataset, round_.recipe)
    loaded, description = load_model(tmp_path / "model.safetensors")
    (x,) = round_.feed.plain(round_.dataset.train, torch.arange(24), 24)
    assert torch.equal(loaded(x), model(x))
    assert description["class_names"] == ["red", "green", "blue"]
    assert description["task"] == task


def test_files_that_describe_no_model(tmp_path):
    round_ = make_round(samples="features")
    model = fit_supervised(round_).task_model
    save_checkpoint(tmp_path / "old.safetensors", {"task_model": model})
    with pytest.raises(CheckpointError, match="older version"):
        load_model(tmp_path / "old.safetensors")
    description = describe_model(model, round_.dataset, round_.recipe)
    with pytest.raises(CheckpointError, match="format 99"):
        build_model(description | {"format": 99})
    with pytest.raises(CheckpointError, match="cannot be used"):
        build_model({key: value for key, value in description.items() if key != "adapter"})
