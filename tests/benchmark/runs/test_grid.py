import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from minimax_al.benchmark.folders.conditions import conditions_here
from minimax_al.benchmark.folders.folder import prepare_folder
from minimax_al.benchmark.folders.round_files import read_rounds, read_scores
from minimax_al.benchmark.runs import grid
from minimax_al.benchmark.runs.cell import run_cell
from minimax_al.benchmark.runs.grid import Cell, run_grid, unfinished
from minimax_al.errors import ConfigurationError, ResultsError
from minimax_al.training.checkpoint import read_tensors
from minimax_al.training.runtime.ranks import Ranks

KILLS = 2  # a strategy


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
    names = ("mal", "vaal", "bald")
    protocol = tiny.model_copy(update={"strategies": names, "seeds": 1})
    run_grid(protocol, tmp_path / "whole")
    for name in names:
        alone = protocol.model_copy(update={"strategies": (name,)})
        prepare_folder(alone, tmp_path / name, protocol.load())
    folders = [str(tmp_path / name) for name in names]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("kill_harness.py")), str(KILLS), "0", *folders],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.split() == [str(KILLS)] * len(names)
    for name in names:
        cell = Cell(name, 0)
        assert_equal_cells(cell.folder(tmp_path / "whole"), cell.folder(tmp_path / name))


def test_a_cell_locked_by_another_process_is_skipped(tiny, tmp_path):
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
    with pytest.raises(
        ResultsError, match=r"one run failed: strategy 'random', seed 1: .*cells/random/seed-1.*other runs are kept"
    ):
        run_grid(protocol, tmp_path / "two", jobs=2, on_progress=seen.append)
    assert (0, 2) in {(progress.seed, progress.round) for progress in seen}
    assert_equal_cells(Cell("random", 0).folder(tmp_path / "one"), Cell("random", 0).folder(tmp_path / "two"))
    in_the_way.unlink()
    run_grid(protocol, tmp_path / "two")
    assert_equal_cells(Cell("random", 1).folder(tmp_path / "one"), Cell("random", 1).folder(tmp_path / "two"))


def no_checkpoint(folder: Path):
    (folder / "work").mkdir(parents=True)
    (folder / "work" / "round-1-task.safetensors").write_bytes(b"no checkpoint")


def no_lock(folder: Path):
    (folder / "lock").mkdir(parents=True)


@pytest.mark.parametrize(
    ("spoil", "reason"), [(no_checkpoint, "checkpoint .* cannot be read"), (no_lock, "lock' cannot be written")]
)
def test_a_failing_cell_does_not_keep_the_others_from_running(tiny, tmp_path, spoil, reason):
    protocol = tiny.model_copy(update={"points": 2, "strategies": ("random", "entropy")})
    spoil(Cell("random", 0).folder(tmp_path))
    with pytest.raises(ResultsError, match=f"strategy 'random', seed 0: .*{reason}"):
        run_grid(protocol, tmp_path)
    assert unfinished(protocol, tmp_path) == [Cell("random", 0)]


@dataclass(frozen=True)
class ThreadRanks(Ranks):
    """Ranks that are threads of this process, and meet at a barrier."""

    barrier: threading.Barrier = field(kw_only=True)
    told: dict[int, object] = field(kw_only=True)

    def share(self, value):
        self.told[self.rank] = value
        self.barrier.wait(timeout=20)
        values = [self.told[rank] for rank in range(self.world_size)]
        self.barrier.wait(timeout=20)
        return values


def test_all_ranks_report_a_cell_that_rank_0_cannot_claim(tiny, tmp_path, monkeypatch):
    no_lock(Cell("random", 0).folder(tmp_path))
    here, meeting, ran = threading.local(), {"barrier": threading.Barrier(2), "told": {}}, []
    monkeypatch.setattr(grid, "Runtime", lambda _: SimpleNamespace(ranks=here.ranks))
    monkeypatch.setattr(grid, "run_cell", lambda *arguments, **_: ran.append((here.ranks.rank, *arguments[2:4])))

    def rank(number):
        here.ranks = ThreadRanks(number, 2, **meeting)
        conditions = conditions_here(tiny.recipe.runtime)
        failures = grid.claim_cells(tiny.model_copy(update={"seeds": 1}), tmp_path, None, conditions)
        assert list(failures) == [("random", 0)]
        assert "lock' cannot be written" in failures["random", 0]

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(rank, range(2)))
    assert sorted(ran) == [(0, "mal", 0), (1, "mal", 0)]


def test_networks_that_are_carried_over_are_those_of_an_uninterrupted_run_after_a_crash(tiny, tmp_path):
    name = "mal(carry_over=true,carry_task_model=true)"
    run_cell(tiny, tiny.load(), name, 0, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "crashed")
    (tmp_path / "crashed" / "round-2.json").unlink()
    (tmp_path / "crashed" / "round-2.model.safetensors").unlink()
    run_cell(tiny, tiny.load(), name, 0, tmp_path / "crashed")
    assert_equal_cells(tmp_path / "whole", tmp_path / "crashed")
    run_cell(tiny, tiny.load(), "mal", 0, tmp_path / "anew")
    assert numbers(tmp_path / "anew")[0][1]["losses"] != numbers(tmp_path / "whole")[0][1]["losses"]
    assert not list((tmp_path / "anew").glob("*.networks.safetensors"))


def test_jobs_below_one(tiny, tmp_path):
    with pytest.raises(ConfigurationError, match=r"jobs is 0; it must be 1 or more"):
        run_grid(tiny, tmp_path, jobs=0)


@pytest.mark.parametrize("strategy", ["random", "random+mal", "bald", "ensemble", "vaal", "learning_loss", "waal"])
def test_every_training_runs_in_a_cell(tiny, tmp_path, strategy):
    protocol = tiny.model_copy(update={"points": 2})
    first, last = run_cell(protocol, protocol.load(), strategy, 0, tmp_path)
    assert len(set(first.picks)) == protocol.step
    assert last.labels == 40
