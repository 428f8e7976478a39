import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from filelock import FileLock

from minimax_al.benchmark.cell import run_cell
from minimax_al.benchmark.folder import prepare_folder, read_protocol, read_provenance
from minimax_al.benchmark.grid import Cell, cells_of, run_grid, unfinished
from minimax_al.benchmark.results import read_rounds, read_scores
from minimax_al.errors import ConfigurationError, ResultsError
from minimax_al.strategies import list_strategies
from minimax_al.training.checkpoint import read_tensors

KILLS = 20


def numbers(folder: Path):
    """Everything of a cell but the clock: metrics, picks, losses, scores and weights, to the last bit."""
    rounds = []
    for path in sorted(folder.glob("round-*.json")):
        content = json.loads(path.read_text())
        content.pop("seconds")
        rounds.append(content)
    tensors = {path.name: read_tensors(path)[0] for path in sorted(folder.glob("*.safetensors"))}
    return rounds, tensors


def assert_equal_cells(one: Path, other: Path):
    rounds, tensors = numbers(one)
    other_rounds, other_tensors = numbers(other)
    assert rounds == other_rounds
    assert tensors.keys() == other_tensors.keys()
    for file, values in tensors.items():
        assert values.keys() == other_tensors[file].keys()
        assert all(value.equal(other_tensors[file][name]) for name, value in values.items())


def test_strategies_of_a_seed_share_pool_draws_and_training(tiny, tmp_path):
    names = ("random", "entropy", "margin", "coreset", "badge")
    protocol = tiny.model_copy(update={"strategies": names, "points": 2})
    dataset = protocol.load()
    first = {name: run_cell(protocol, dataset, name, 0, tmp_path / name)[0] for name in names}
    assert len({tuple(result.class_counts) for result in first.values()}) == 1
    assert len({json.dumps(result.metrics, sort_keys=True) for result in first.values()}) == 1
    assert len({json.dumps(result.losses, sort_keys=True) for result in first.values()}) == 1
    under_mal = {name: run_cell(protocol, dataset, name, 0, tmp_path / name)[0] for name in ("mal", "random+mal")}
    assert under_mal["mal"].metrics == under_mal["random+mal"].metrics
    other_seed = run_cell(protocol, dataset, "random", 1, tmp_path / "other")[0]
    assert other_seed.metrics != first["random"].metrics


def test_a_cell_keeps_picks_scores_metrics_and_models(tiny, tmp_path):
    results = run_cell(tiny, tiny.load(), "mal", 0, tmp_path)
    assert [result.labels for result in results] == [20, 40, 60]
    assert [len(result.picks) for result in results] == [20, 20, 0]
    assert len(set(results[0].picks + results[1].picks)) == 40
    candidates, scores = read_scores(tmp_path, 0)
    assert len(candidates) == 1277
    assert {"entropy", "labelledness", "entropy_rank", "labelledness_rank", "predicted", "confidence"} == set(scores)
    assert all(len(values) == 1277 for values in scores.values())
    assert len(list(tmp_path.glob("*.model.safetensors"))) == tiny.points
    assert not (tmp_path / "work").exists()
    assert sum(results[1].class_counts) == 40


def test_a_killed_run_ends_with_the_numbers_of_an_uninterrupted_one(tiny, tmp_path):
    protocol = tiny.model_copy(update={"strategies": ("mal", "vaal", "bald")})
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_grid(protocol, whole)
    prepare_folder(protocol, broken, protocol.load())
    harness = [sys.executable, str(Path(__file__).with_name("kill_harness.py")), str(broken), str(KILLS), "0"]
    done = subprocess.run(
        harness, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert int(done.stdout) == KILLS
    run_grid(protocol, broken)
    for cell in cells_of(protocol):
        assert_equal_cells(cell.folder(whole), cell.folder(broken))


def test_a_cell_in_other_hands_is_left_alone(tiny, tmp_path):
    prepare_folder(tiny, tmp_path, tiny.load())
    taken = Cell("random", 0).folder(tmp_path)
    taken.mkdir(parents=True)
    with FileLock(taken / "lock"):
        run_grid(tiny.model_copy(update={"seeds": 1}), tmp_path)
    assert read_rounds(taken, tiny) == []
    assert len(read_rounds(Cell("mal", 0).folder(tmp_path), tiny)) == tiny.points
    run_grid(tiny.model_copy(update={"seeds": 1}), tmp_path)
    assert len(read_rounds(taken, tiny)) == tiny.points


def test_processes_side_by_side_give_the_numbers_of_one_and_tell_of_errors(tiny, tmp_path):
    protocol = tiny.model_copy(update={"strategies": ("random",), "points": 2})
    run_grid(protocol, tmp_path / "one")
    in_the_way = Cell("random", 1).folder(tmp_path / "two")
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file where a cell's folder should be")
    seen = []
    with pytest.raises(ResultsError, match=r"cells/random/seed-1.*What was finished is kept"):
        run_grid(protocol, tmp_path / "two", jobs=2, on_progress=seen.append)
    assert (0, 2) in {(progress.seed, progress.round) for progress in seen}
    assert_equal_cells(Cell("random", 0).folder(tmp_path / "one"), Cell("random", 0).folder(tmp_path / "two"))
    in_the_way.unlink()
    run_grid(protocol, tmp_path / "two")
    assert_equal_cells(Cell("random", 1).folder(tmp_path / "one"), Cell("random", 1).folder(tmp_path / "two"))


def test_a_folder_of_another_configuration_is_refused(tiny, tmp_path):
    prepare_folder(tiny, tmp_path, tiny.load())
    prepare_folder(tiny.model_copy(update={"seeds": 9, "strategies": ("entropy",)}), tmp_path, tiny.load())
    minimax = tiny.recipe.minimax.model_copy(update={"epochs": 7})
    changed = tiny.model_copy(update={"step": 5, "recipe": tiny.recipe.model_copy(update={"minimax": minimax})})
    with pytest.raises(ResultsError, match=r"step \(20 there, 5 now\), recipe.minimax.epochs \(2 there, 7 now\)"):
        prepare_folder(changed, tmp_path, tiny.load())


DAMAGE = {
    "empty": lambda folder: (folder / "round-1.json").write_bytes(b""),
    "half": lambda folder: (folder / "round-1.json").write_bytes(b'{"round": 1,'),
    "another form": lambda folder: (folder / "round-1.json").write_bytes(b"[]"),
    "another round": lambda folder: shutil.copy(folder / "round-0.json", folder / "round-1.json"),
    "no picks": lambda folder: (folder / "round-1.json").write_text(
        json.dumps(json.loads((folder / "round-1.json").read_text()) | {"picks": None})
    ),
    "no scores": lambda folder: (folder / "round-1.scores.safetensors").unlink(),
    "half a model": lambda folder: (folder / "round-1.model.safetensors").write_bytes(b"0123456789"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_round_and_all_after_it_are_run_again(tiny, tmp_path, damage, caplog):
    dataset = tiny.load()
    before = run_cell(tiny, dataset, "random", 0, tmp_path)
    DAMAGE[damage](tmp_path)
    assert [result.round for result in read_rounds(tmp_path, tiny)] == [0]
    assert {path.name for path in tmp_path.glob("*.damaged")} == {"round-1.damaged", "round-2.damaged"}
    assert "run again" in caplog.text
    after = run_cell(tiny, dataset, "random", 0, tmp_path)
    assert [(result.picks, result.metrics) for result in after] == [(r.picks, r.metrics) for r in before]


def test_a_failing_cell_does_not_keep_the_others_from_running(tiny, tmp_path):
    stray = Cell("random", 0).folder(tmp_path) / "work" / "round-1-task.safetensors"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"no checkpoint")
    with pytest.raises(ResultsError, match=r"strategy 'random', seed 0: checkpoint .* cannot be read"):
        run_grid(tiny, tmp_path)
    assert [(cell.strategy, cell.seed) for cell in unfinished(tiny, tmp_path)] == [("random", 0)]


def test_cells_that_were_asked_for_stay_asked_for(tiny, tmp_path):
    prepare_folder(tiny, tmp_path, tiny.load())
    prepare_folder(tiny.model_copy(update={"strategies": ("entropy",), "seeds": 1}), tmp_path, tiny.load())
    protocol = read_protocol(tmp_path)
    assert (protocol.strategies, protocol.seeds) == (("random", "mal", "entropy"), 2)
    assert len(read_provenance(tmp_path)) == 1


def test_jobs_below_one(tiny, tmp_path):
    with pytest.raises(ConfigurationError, match=r"jobs is 0; it must be 1 or more"):
        run_grid(tiny, tmp_path, jobs=0)


def test_provenance_is_written_beside_results(tiny, tmp_path):
    prepare_folder(tiny, tmp_path, tiny.load())
    (content,) = yaml.safe_load((tmp_path / "provenance.yaml").read_text())
    assert torch.__version__.startswith(content["packages"]["torch"])
    assert content["machine"]["threads"] >= 1


@pytest.mark.parametrize("strategy", [*list_strategies(), "random+mal"])
def test_every_strategy_runs_in_a_cell(tiny, tmp_path, strategy):
    protocol = tiny.model_copy(update={"points": 2})
    first, last = run_cell(protocol, protocol.load(), strategy, 0, tmp_path)
    assert len(set(first.picks)) == protocol.step
    assert last.labels == 40
