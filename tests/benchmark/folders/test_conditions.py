"""Conditions of a run: resolved once, recorded per round, never mixed in silence."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from minimax_al.benchmark import run_grid
from minimax_al.benchmark.folders import conditions
from minimax_al.benchmark.folders.conditions import Conditions, conditions_here, default_threads, threads_of
from minimax_al.benchmark.folders.round_files import read_rounds
from minimax_al.benchmark.runs.cell import run_cell
from minimax_al.benchmark.runs.grid import Cell
from minimax_al.cli import main
from minimax_al.errors import ResultsError
from minimax_al.training import RuntimeSettings


@pytest.fixture
def small(tiny):
    return tiny.model_copy(update={"points": 2, "seeds": 1, "strategies": ("random",)})


def test_every_round_records_its_conditions(small, tmp_path, finished):
    finished(small, tmp_path)
    (first, second) = read_rounds(Cell("random", 0).folder(tmp_path), small)
    assert first.conditions == second.conditions == asdict(conditions_here(small.recipe.runtime))
    assert {"device": "cpu", "precision": "fp32", "threads": 1}.items() <= first.conditions.items()


OTHER = {
    "device": "cuda",
    "precision": "bf16",
    "threads": 64,
    "processor": "Another CPU",
    "accelerator": "Another GPU",
}


@pytest.mark.parametrize("part", OTHER)
def test_other_conditions_are_refused_before_anything_is_written(small, tmp_path, part, finished):
    finished(small, tmp_path)
    recorded = tmp_path / "conditions.json"
    recorded.write_text(json.dumps(asdict(conditions_here(small.recipe.runtime)) | {part: OTHER[part]}))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    more = small.model_copy(update={"seeds": 2})
    with pytest.raises(ResultsError, match=rf"other conditions: {part} \({OTHER[part]} there, .* now\)"):
        run_grid(more, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    run_grid(more, tmp_path, mixed=True)
    assert len(read_rounds(Cell("random", 1).folder(tmp_path), more)) == 2


def test_the_command_line_refuses_a_mix_and_accepts_it_on_request(small, tmp_path, capsys, monkeypatch):
    words = [
        "bench",
        "run",
        "digits",
        "--strategies",
        "random",
        "--seeds",
        "1",
        "--points",
        "1",
        "--out",
        str(tmp_path),
    ]
    words += ["--recipe.task.epochs", "1", "--recipe.task.steps-per-epoch", "1"]
    assert main(words) == 0
    monkeypatch.setattr(conditions, "processor_name", lambda: "Another CPU")
    assert main(words) == 2
    assert "--mixed-machines" in capsys.readouterr().err
    assert main([*words, "--mixed-machines"]) == 0


def test_damaged_conditions_are_reported(small, tmp_path, finished):
    finished(small, tmp_path)
    (tmp_path / "conditions.json").write_text("[")
    with pytest.raises(ResultsError, match=r"conditions\.json' cannot be read"):
        run_grid(small, tmp_path)


@pytest.mark.parametrize(
    ("variable", "cores", "expected"),
    [("", 2, 2), ("", 64, 4), ("3", 64, 3), ("no number", 2, 2), ("0", 1, 1)],
)
def test_the_default_number_of_threads_depends_on_the_machine_alone(monkeypatch, variable, cores, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    monkeypatch.setattr(conditions, "available_cores", lambda: cores)
    assert default_threads() == expected


def test_jobs_do_not_change_the_threads_of_a_protocol_without_any(small, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    runtime = RuntimeSettings(device="cpu", precision="fp32")
    free = small.model_copy(update={"recipe": small.recipe.model_copy(update={"runtime": runtime}), "seeds": 2})
    found = []
    for jobs in (1, 2):
        run_grid(free, tmp_path / str(jobs), jobs=jobs)
        cells = [Cell("random", seed).folder(tmp_path / str(jobs)) for seed in (0, 1)]
        found.append([[replace(result, seconds={}) for result in read_rounds(cell, free)] for cell in cells])
    assert found[0] == found[1]
    assert found[0][0][0].conditions["threads"] == 2


def test_later_calls_use_the_recorded_number_of_threads(small, tmp_path, monkeypatch):
    runtime = RuntimeSettings(device="cpu", precision="fp32")
    free = small.model_copy(update={"recipe": small.recipe.model_copy(update={"runtime": runtime})})
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    run_grid(free, tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run_grid(free.model_copy(update={"seeds": 2}), tmp_path)
    assert read_rounds(Cell("random", 1).folder(tmp_path), free)[0].conditions["threads"] == 2


def test_a_cell_computes_with_its_threads_and_restores_those_of_the_process(small, tmp_path):
    before = torch.get_num_threads()
    seen = []
    free = small.model_copy(
        update={"recipe": small.recipe.model_copy(update={"runtime": RuntimeSettings(device="cpu", precision="fp32")})}
    )
    run_cell(
        free,
        free.load(),
        "random",
        0,
        tmp_path,
        conditions=Conditions("cpu", "fp32", before + 1, ""),
        on_progress=lambda _: seen.append(torch.get_num_threads()),
    )
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before
    with threads_of(Conditions("cpu", "fp32", before + 2, "")):
        assert torch.get_num_threads() == before + 2
