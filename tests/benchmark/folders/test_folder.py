"""A results folder: one configuration, cells that only grow, and nothing written by a call that is refused."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import yaml
from filelock import FileLock

from minimax_al.benchmark import load_protocol, run_grid
from minimax_al.benchmark.folders import folder
from minimax_al.benchmark.folders.folder import prepare_folder, read_protocol, read_provenance
from minimax_al.errors import ConfigurationError, ResultsError


def test_a_folder_of_another_configuration_is_refused(tiny, tmp_path):
    prepare_folder(tiny, tmp_path, tiny.load())
    prepare_folder(tiny.model_copy(update={"seeds": 9, "strategies": ("entropy",)}), tmp_path, tiny.load())
    minimax = tiny.recipe.minimax.model_copy(update={"epochs": 7})
    changed = tiny.model_copy(update={"step": 5, "recipe": tiny.recipe.model_copy(update={"minimax": minimax})})
    with pytest.raises(ResultsError, match=r"step \(20 there, 5 now\), recipe.minimax.epochs \(2 there, 7 now\)"):
        prepare_folder(changed, tmp_path, tiny.load())


def test_later_requests_extend_the_recorded_protocol(tiny, tmp_path):
    prepare_folder(tiny, tmp_path, tiny.load())
    prepare_folder(tiny.model_copy(update={"strategies": ("entropy",), "seeds": 1}), tmp_path, tiny.load())
    protocol = read_protocol(tmp_path)
    assert (protocol.strategies, protocol.seeds) == (("random", "mal", "entropy"), 2)
    assert len(read_provenance(tmp_path)) == 1


def test_calls_at_once_lose_no_strategy(tiny, tmp_path):
    dataset = tiny.load()
    names = ("random", "entropy", "margin", "coreset", "mal", "bald")
    calls = [tiny.model_copy(update={"strategies": (name,)}) for name in names]
    with ThreadPoolExecutor(len(calls)) as threads:
        list(threads.map(lambda protocol: prepare_folder(protocol, tmp_path, dataset), calls))
    assert set(read_protocol(tmp_path).strategies) == set(names)


def test_a_folder_locked_by_another_process_is_reported(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "PATIENCE_SECONDS", 0.0)
    with (
        FileLock(tmp_path / "lock"),
        pytest.raises(ResultsError, match=r"another process has been preparing the folder .* for 0 seconds"),
    ):
        prepare_folder(tiny, tmp_path, tiny.load())


def test_a_refused_call_leaves_the_folder_to_the_corrected_one(tiny, tmp_path):
    dataset = tiny.load()
    recipe = tiny.recipe.model_copy(update={"missing_classes": "warn"})
    uneven = tiny.model_copy(update={"imbalanced": True, "initial": "random", "recipe": recipe})
    with pytest.raises(ConfigurationError, match=r"50 points .* need 1000 labels, but 'digits-imbalanced' has 3"):
        prepare_folder(uneven.model_copy(update={"points": 50}), tmp_path, dataset)
    prepare_folder(uneven, tmp_path, dataset)
    assert read_protocol(tmp_path) == uneven


def test_a_damaged_provenance_is_told_of_before_anything_is_written(tiny, tmp_path):
    (tmp_path / "provenance.yaml").write_text("[")
    with pytest.raises(ResultsError, match=r"provenance\.yaml' cannot be read"):
        prepare_folder(tiny, tmp_path, tiny.load())
    assert not (tmp_path / "protocol.yaml").exists()


@pytest.mark.parametrize(
    ("preset", "changes", "match"),
    [
        ("digits", {"imbalanced": True, "points": 50}, "50 points .* need 1000 labels, but 'digits-imbalanced' has"),
        ("digits", {"start": 25}, "start=25 labels cannot be balanced over 10 classes"),
        ("digits", {"imbalanced": True, "start": 300, "points": 2}, "they need 30 of each class, but .* has 1 of"),
        ("shapes", {"initial": "balanced"}, "initial is 'balanced', but 'shapes' has no single class per image"),
        ("shapes", {"imbalanced": True}, "no more than the 4 classes"),
    ],
)
def test_a_protocol_that_no_cell_can_run_creates_no_folder(tmp_path, preset, changes, match):
    recipe = load_protocol(preset).recipe.model_copy(update={"missing_classes": "warn"})
    protocol = load_protocol(preset, seeds=1).model_copy(update={"recipe": recipe, **changes})
    with pytest.raises(ConfigurationError, match=match):
        run_grid(protocol, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_provenance_is_written_next_to_results(tiny, tmp_path):
    prepare_folder(tiny, tmp_path, tiny.load())
    (content,) = yaml.safe_load((tmp_path / "provenance.yaml").read_text())
    assert torch.__version__.startswith(content["packages"]["torch"])
    assert content["machine"]["threads"] >= 1
    assert (content["machine"]["device"], content["machine"]["precision"]) == ("cpu", "fp32")
