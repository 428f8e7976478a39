"""One file format of M: what is saved is loaded again, and files of older versions still open."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.deployment.model_file import DESCRIPTION, WEIGHTS, load_model, save_model, save_trained
from minimax_al.deployment.trained import GIVEN, Trained, trained_on
from minimax_al.errors import CheckpointError
from minimax_al.networks import Preprocessing, TaskModel, build_encoder
from minimax_al.testing import make_round
from minimax_al.training import Recipe, fit_minimax, fit_supervised
from minimax_al.training.checkpoint import save_checkpoint

PRIOR = {"kind": "prototypes", "origins": ("class_means",), "class_priors": ("pool",)}
KINDS = [
    ("classification", "images", "prototypes", fit_supervised),
    ("segmentation", "images", "prototypes", fit_supervised),
    ("classification", "features", "prototypes", fit_supervised),
    ("classification", "features", "prior", fit_supervised),
    ("classification", "features", "linear", fit_supervised),
    ("classification", "features", "nearest_mean", fit_supervised),
    ("classification", "features", "prototypes", fit_minimax),
]


def fitted(task, samples, kind, fit):
    """A round, and the model that it trains; one class has no label on features: its mask is part of the file."""
    round_ = make_round(task, samples=samples)
    if samples == "features":
        kept = round_.labelled[round_.targets[round_.labelled] != 1]
        features = round_.recipe.features
        features = features.model_copy(
            update={"head": features.head.model_copy(update=PRIOR if kind == "prior" else {"kind": kind})}
        )
        recipe = round_.recipe.model_copy(update={"missing_classes": "warn", "features": features})
        round_ = replace(round_, labelled=kept, recipe=recipe)
    return round_, fit(round_).task_model


def batch_of(round_):
    (x,) = round_.feed.plain(round_.dataset.train, torch.arange(24), 24)
    return x


@pytest.mark.parametrize("as_folder", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_read_back_predicts_the_same(tmp_path, kind, as_folder):
    task, (round_, model) = kind[0], fitted(*kind)
    trained = trained_on(round_.dataset, model, round_.recipe, {"labels": 7})
    if as_folder:
        save_trained(tmp_path, trained)
    else:
        save_model(tmp_path / "model.safetensors", trained)
    loaded = load_model(tmp_path if as_folder else tmp_path / "model.safetensors")
    x = batch_of(round_)
    assert torch.equal(loaded.model(x), model(x))
    assert (loaded.class_names, loaded.task, loaded.facts) == (("red", "green", "blue"), task, {"labels": 7})
    assert (loaded.mean, loaded.std, loaded.stored_size, loaded.fit, loaded.source) == (
        trained.mean,
        trained.std,
        trained.stored_size,
        trained.fit,
        trained.source,
    )


def test_the_weights_of_a_folder_describe_themselves(tmp_path):
    round_, model = fitted(*KINDS[0])
    save_trained(tmp_path, trained_on(round_.dataset, model, round_.recipe, {}))
    (tmp_path / DESCRIPTION).unlink()
    loaded = load_model(tmp_path / WEIGHTS)
    assert torch.equal(loaded.model(batch_of(round_)), model(batch_of(round_)))


@pytest.mark.parametrize(("task", "samples", "kind", "fit"), KINDS)
def test_benchmark_files_of_the_first_format_open(tmp_path, task, samples, kind, fit):
    round_, model = fitted(task, samples, kind, fit)
    head = getattr(model, "head", None)
    temperature = getattr(head, "temperature", None)
    description = {
        "format": 1,
        "task": task,
        "class_names": ["red", "green", "blue"],
        "sample": samples,
        "mean": list(round_.dataset.mean),
        "std": list(round_.dataset.std),
        "recipe": round_.recipe.model_dump(mode="json"),
        "head": {"kind": "linear"} if temperature is None else {"kind": "cosine", "temperature": temperature},
    }
    if samples == "features":
        description["adapter"] = {"in_features": model.encoder.out_features, "kind": model.encoder.kind}
    save_checkpoint(tmp_path / "old.safetensors", {"task_model": model}, state={"model": description})
    loaded = load_model(tmp_path / "old.safetensors")
    assert torch.equal(loaded.model(batch_of(round_)), model(batch_of(round_)))
    assert (loaded.stored_size, loaded.facts) == (0, {})
    with pytest.raises(CheckpointError, match=r"older version.*mal bench package"):
        loaded.check_reads_images()


def test_a_folder_of_an_older_campaign_opens(tmp_path):
    round_, model = fitted(*KINDS[0])
    save_trained(tmp_path, trained_on(round_.dataset, model, round_.recipe, {"run": 1}))
    description = json.loads((tmp_path / DESCRIPTION).read_text())
    for name in ("format", "fit", "sha256"):  # keys that former versions did not write
        del description[name]
    (tmp_path / DESCRIPTION).write_text(json.dumps(description))
    save_file(load_file(tmp_path / WEIGHTS), tmp_path / WEIGHTS)  # without metadata
    loaded = load_model(tmp_path)
    assert torch.equal(loaded.model(batch_of(round_)), model(batch_of(round_)))
    assert (loaded.fit, loaded.facts) == ("centre", {"run": 1})


def test_features_of_a_store_keep_their_encoder():
    round_, model = fitted(*KINDS[3])
    own = Preprocessing(size=96, crop=1.0)
    known = FeatureDescription("tiny", "tiny.pth", "f" * 64, own.to_dict(), round_.dataset.train.shape[1])
    round_.dataset.train.description = known
    subset = round_.dataset.train.subset(range(24))
    source = trained_on(replace(round_.dataset, train=subset), model, round_.recipe, {}).source
    assert (source.encoder, source.weights, source.preprocessing) == ("tiny", "tiny.pth", own)
    subset.description = None
    assert trained_on(replace(round_.dataset, train=subset), model, round_.recipe, {}).source.encoder == GIVEN


def test_a_model_of_oblong_arrays_reads_no_files():
    recipe = Recipe(encoder="conv4", width=4)
    model = TaskModel(build_encoder("conv4", recipe.stem, task="classification", width=4), 2)
    trained = Trained(model, recipe, "classification", ("a", "b"), 0, "centre", (0.5,) * 3, (0.2,) * 3, {"labels": 3})
    with pytest.raises(CheckpointError, match="not square"):
        trained.check_reads_images()


def test_files_that_describe_no_model(tmp_path):
    round_, model = fitted(*KINDS[2])
    save_checkpoint(tmp_path / "old.safetensors", {"task_model": model})
    with pytest.raises(CheckpointError, match=r"old\.safetensors' describes no model"):
        load_model(tmp_path / "old.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(tmp_path / "missing.safetensors")
    save_trained(tmp_path, trained_on(round_.dataset, model, round_.recipe, {}))
    description = json.loads((tmp_path / DESCRIPTION).read_text())
    cases = [({"format": 99}, "its format is 99, this version reads 2"), ({"class_names": None}, "describes no model")]
    for wrong, sentence in cases:
        (tmp_path / DESCRIPTION).write_text(json.dumps(description | wrong))
        with pytest.raises(CheckpointError, match=sentence):
            load_model(tmp_path)
