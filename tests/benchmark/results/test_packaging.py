"""The model that won a benchmark can be packaged, and predicts files as the benchmark measured it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from minimax_al.benchmark import load_protocol, package_model, run_grid
from minimax_al.benchmark.folders.round_files import model_path, read_predictions
from minimax_al.benchmark.results.packaging import _card, _choose
from minimax_al.benchmark.results.results import read_results
from minimax_al.benchmark.runs.grid import Cell
from minimax_al.cli import main
from minimax_al.deployment import load_model, predict_folder
from minimax_al.deployment.preprocess import read_input
from minimax_al.errors import CheckpointError, ConfigurationError, ResultsError, UnknownNameError
from minimax_al.networks import build_encoder, pretrained_encoder
from minimax_al.training import Recipe, embed_folder
from minimax_al.training.checkpoint import save_checkpoint

from ..conftest import TINY_RECIPE  # noqa: TID252 - the same recipe

ON_CPU = {"runtime": {"device": "cpu", "precision": "fp32", "threads": 1}}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two strategies and two seeds on digits, two rounds each."""
    changes = {
        "recipe": Recipe.model_validate(TINY_RECIPE),
        "strategies": ("random", "entropy"),
        "points": 2,
        "seeds": 2,
    }
    protocol = load_protocol("digits").model_copy(update=changes)
    out = tmp_path_factory.mktemp("digits") / "results"
    run_grid(protocol, out)
    return out


@pytest.fixture(scope="module")
def digits(results, tmp_path_factory):
    """The test images as files, under names that keep their order."""
    folder = tmp_path_factory.mktemp("images")
    test = read_results(results).dataset.test
    pixels = torch.cat(list(test.stream([torch.arange(len(test))])))
    for number, image in enumerate(pixels):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{number:04d}.png")
    return folder


def test_the_winner_predicts_files_as_the_benchmark_measured_it(results, digits, tmp_path):
    done = package_model(results, tmp_path / "package", onnx=False)
    cell = Cell(done.strategy, done.seed)
    assert (done.round, done.labels, done.metric) == (1, 40, "accuracy")
    kept = read_predictions(cell.folder(results), 1)
    for source in (tmp_path / "package", model_path(cell.folder(results), 1)):
        predictions = predict_folder(load_model(source), digits).images
        assert [int(one.class_name) for one in predictions] == kept["predicted"].tolist()
        assert np.allclose([one.confidence for one in predictions], kept["confidence"], atol=1e-5)
    right = (kept["predicted"] == kept["target"]).double().mean().item()
    assert done.score == pytest.approx(right)
    card = (tmp_path / "package" / "README.md").read_text()
    assert f"| accuracy | {100 * right:.1f} % |" in card
    assert f"40 of 1,297 images had a label, chosen by `{done.strategy}` (seed {done.seed}, round 1)." in card
    assert "| class | trained on | test images | right among these |" in card


def test_the_card_of_a_benchmark_with_validation_names_the_images_that_it_was_measured_on(results):
    found = read_results(results)
    cell, result = _choose(found, "random", 0, None)
    assert "Measured on the 500 test images" in _card(found, cell, result, "").scores[0]
    facts = replace(found.facts, totals={0: [100, 97]})
    found = replace(found, protocol=found.protocol.model_copy(update={"validation": 1100}), facts=facts)
    card = _card(found, cell, result, "")
    assert "Measured on 1,100 images that were held out of the training images of the benchmark" in card.scores[0]
    assert card.training_data[0].startswith("40 of 197 images had a label")


def test_the_onnx_file_of_a_benchmark_agrees_with_the_weights(results, digits, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    package_model(results, tmp_path / "package", strategy="random", seed=1, number=0)
    expected = predict_folder(load_model(tmp_path / "package"), digits).images[:8]
    session = onnxruntime.InferenceSession(tmp_path / "package" / "model.onnx", providers=["CPUExecutionProvider"])
    paths = [digits / one.path for one in expected]
    pixels = np.concatenate([read_input(path, tmp_path / "package" / "preprocessing.json") for path in paths])
    (found,) = session.run(None, {"pixels": pixels})
    assert np.allclose(found.max(axis=1), [one.confidence for one in expected], atol=1e-3)
    assert "On 16 test images of the benchmark" in (tmp_path / "package" / "README.md").read_text()


def test_the_best_mean_wins_and_its_median_run_is_packaged(results):
    found = read_results(results)
    rounds = {}
    for strategy, scores in {"random": (0.9, 0.2, 0.1), "entropy": (0.5, 0.6, 0.7)}.items():
        for seed, score in enumerate(scores):
            one = found.rounds[Cell("random", 0)][1]
            last = replace(one, metrics={**one.metrics, "accuracy": score})
            rounds[Cell(strategy, seed)] = [found.rounds[Cell("random", 0)][0], last]
    edited = replace(found, rounds=rounds)
    assert _choose(edited, None, None, None)[0] == Cell("entropy", 1)
    assert _choose(edited, "random", None, None)[0] == Cell("random", 1)
    assert _choose(edited, "random", 0, 0)[0] == Cell("random", 0)


@pytest.mark.parametrize(
    ("choice", "error", "sentence"),
    [
        ({"strategy": "margin"}, UnknownNameError, "unknown strategy 'margin'.*entropy, random"),
        ({"strategy": "random", "seed": 7}, ResultsError, "'random' has no run of seed 7 with round 1.*0, 1"),
        ({"weights": Path("x.pth")}, ConfigurationError, r"weights 'x\.pth' are of no use"),
        ({"number": 2}, ResultsError, "round 2 does not exist: the rounds are 0 to 1"),
    ],
)
def test_a_run_that_does_not_exist_is_one_sentence(results, tmp_path, choice, error, sentence):
    with pytest.raises(error, match=sentence):
        package_model(results, tmp_path / "package", **choice)
    assert not (tmp_path / "package").exists()


def test_results_of_an_older_version_are_completed_from_the_data(results, digits, tmp_path):
    older = tmp_path / "older"
    shutil.copytree(results, older)
    path = model_path(Cell("random", 0).folder(older), 1)
    trained = load_model(path)
    before = predict_folder(trained, digits).images
    description = {
        "format": 1,
        "task": "classification",
        "class_names": list(trained.class_names),
        "sample": "images",
        "mean": list(trained.mean),
        "std": list(trained.std),
        "recipe": trained.recipe.model_dump(mode="json"),
        "head": {"kind": "linear"},
    }
    save_checkpoint(path, {"task_model": trained.model}, state={"model": description})
    with pytest.raises(CheckpointError, match="mal bench package"):
        predict_folder(load_model(path), digits)
    package_model(older, tmp_path / "package", strategy="random", seed=0, onnx=False)
    assert predict_folder(load_model(tmp_path / "package"), digits).images == before


def test_a_model_on_features_is_packaged_with_its_encoder(tmp_path, capsys):
    weights = tmp_path / "resnet18.safetensors"
    torch.manual_seed(0)
    save_file(build_encoder("resnet18").state_dict(), weights)
    shades = {"red": (200, 40, 40), "blue": (50, 70, 210)}
    for number in range(40):
        name = list(shades)[number % 2]
        noise = np.random.default_rng(number).integers(-30, 30, (20, 24, 3))
        (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
        pixels = np.clip(noise + np.array(shades[name]), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    embed_folder(tmp_path / "images", tmp_path / "features", pretrained_encoder("resnet18", weights, {"size": 32}))
    own = {"dataset": "features", "data": tmp_path / "features", "recipe": Recipe.model_validate(ON_CPU)}
    sizes = {"strategies": ("margin",), "seeds": 1, "start": 4, "step": 4, "points": 2}
    run_grid(load_protocol("digits").model_copy(update=own | sizes), tmp_path / "results")
    with pytest.raises(ConfigurationError, match=r"weights of a file 'resnet18\.safetensors': give its path"):
        package_model(tmp_path / "results", tmp_path / "package", onnx=False)
    package = ["bench", "package", str(tmp_path / "results"), str(tmp_path / "package"), "--weights", str(weights)]
    assert main([*package, "--no-onnx"]) == 0
    assert "The model of margin (seed 0, 8 labels, accuracy" in capsys.readouterr().out
    weights.unlink()  # the package has its own copy
    images, out = str(tmp_path / "images"), tmp_path / "predictions.csv"
    assert main(["predict", str(tmp_path / "package"), "--images", images, "--out", str(out)]) == 0
    rows = [line.split(",") for line in out.read_text().splitlines()[1:]]
    assert len(rows) == 40
    assert {row[1] for row in rows if row[0].startswith("red")} == {"red"}
    source = json.loads((tmp_path / "package" / "model.json").read_text())["source"]
    assert (source["encoder"], source["preprocessing"]["size"]) == ("resnet18", 32)
