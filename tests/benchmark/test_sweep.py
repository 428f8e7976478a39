"""Sweeps: every combination, refused as a whole, resumed, and one table whose numbers are those of the runs."""

import csv
import statistics

import pytest
import yaml

from minimax_al.benchmark import load_sweep, run_sweep
from minimax_al.benchmark.folders.round_files import read_rounds
from minimax_al.benchmark.runs.grid import Cell
from minimax_al.benchmark.sweep import is_sweep
from minimax_al.cli import main
from minimax_al.errors import ConfigurationError, UnknownNameError

SWEEP = {
    "preset": "digits",
    "strategies": ["random", "margin"],
    "seeds": 2,
    "points": 2,
    "settings": {
        "recipe.width": 4,
        "recipe.task.steps_per_epoch": 2,
        "recipe.task.epochs": 2,
        "recipe.runtime.precision": "fp32",
    },
    "sweep": {"task.learning_rate": [0.003, 0.01], "recipe.task.head": ["linear", "cosine"]},
}


@pytest.fixture
def write(tmp_path):
    def written(**changes):
        content = {**SWEEP, **changes}
        path = tmp_path / "sweep.yaml"
        path.write_text(
            yaml.safe_dump({name: value for name, value in content.items() if value is not None}, sort_keys=False)
        )
        return str(path)

    return written


def test_variants_are_all_combinations_in_order(write):
    variants = load_sweep(write())
    assert [variant.name for variant in variants] == [
        "task.learning_rate=0.003,task.head=linear",
        "task.learning_rate=0.003,task.head=cosine",
        "task.learning_rate=0.01,task.head=linear",
        "task.learning_rate=0.01,task.head=cosine",
    ]
    tasks = [variant.protocol.recipe.task for variant in variants]
    assert [(task.learning_rate, task.head, task.epochs) for task in tasks] == [
        (0.003, "linear", 2),
        (0.003, "cosine", 2),
        (0.01, "linear", 2),
        (0.01, "cosine", 2),
    ]
    assert {variant.protocol.seeds for variant in load_sweep(write(), seeds=5)} == {5}


def test_a_file_with_its_own_recipe_and_options(write):
    path = write(
        preset=None,
        dataset="shapes",
        start=8,
        step=8,
        recipe={"encoder": "dconv4", "width": 4},
        settings=None,
        sweep={"options.size": [32, 48], "step": [4, 8], "minimax.bottleneck": [None, 8]},
    )
    variants = load_sweep(path)
    assert len(variants) == 8
    assert [variant.protocol.options["size"] for variant in variants] == [32] * 4 + [48] * 4
    assert variants[0].name == "options.size=32,step=4,minimax.bottleneck=null"
    assert is_sweep(path)
    assert not is_sweep("digits")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sweep": {"task.learning_rat": [1]}}, "unknown setting 'task.learning_rat'; did you mean 'learning_rate'"),
        ({"sweep": {"tsk.epochs": [1]}}, "unknown setting 'tsk.epochs'"),
        ({"sweep": {"task.epochs": 3}}, r"sweep.task.epochs is 3; give a list of values, such as \[0, 0.1\]"),
        ({"sweep": {"task.epochs": []}}, r"sweep.task.epochs is \[\]; give a list"),
        ({"sweep": {}}, "sweep has no setting: give at least one dotted name with a list"),
        ({"sweep": [1]}, r"sweep is \[1\]; give dotted names of settings"),
        ({"sweep": {"task.epochs": [1, 0]}}, "task.epochs=0, recipe.task.epochs: .* greater than 0, but 0 was given"),
        ({"recipe": {"task": {"epochs": 3}}}, "preset and recipe are names; change a preset's settings by dotted"),
        ({"pointz": 3}, "unknown key 'pointz'; did you mean 'points'"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_runs(write, changes, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        load_sweep(write(**changes))


def test_unknown_presets_and_recipes(write):
    with pytest.raises(UnknownNameError, match="unknown preset 'digit'; did you mean 'digits'"):
        load_sweep(write(preset="digit"))
    with pytest.raises(UnknownNameError, match="unknown recipe of preset 'digits' 'papr'; did you mean 'paper'"):
        load_sweep(write(recipe="papr"))


def test_one_table_with_the_numbers_of_all_runs(write, tmp_path, capsys):
    path = write(sweep={"recipe.task.head": ["linear", "cosine"]})
    out = tmp_path / "out"
    assert main(["bench", "run", path, "--out", str(out), "--logger", "csv"]) in {None, 0}
    assert "variant 2 of 2: task.head=cosine" in capsys.readouterr().out
    with (out / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["task.head"], row["strategy"], row["seeds"]) for row in rows] == [
        ("linear", "random", "2"),
        ("linear", "margin", "2"),
        ("cosine", "random", "2"),
        ("cosine", "margin", "2"),
    ]
    for variant in load_sweep(path):
        for strategy in ("random", "margin"):
            runs = [
                read_rounds(Cell(strategy, seed).folder(variant.folder(out)), variant.protocol) for seed in range(2)
            ]
            accuracies = [[100 * result.metrics["accuracy"] for result in rounds] for rounds in runs]
            row = next(
                row
                for row in rows
                if (row["task.head"], row["strategy"]) == (variant.settings["recipe.task.head"], strategy)
            )
            for position, labels in enumerate((20, 40)):
                values = [run[position] for run in accuracies]
                expected = f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}"
                assert row[f"accuracy at {labels}"] == expected
            areas = [statistics.fmean(run) for run in accuracies]  # a trapezium of two points, over its width
            assert row["area"] == f"{statistics.fmean(areas):.1f} ± {statistics.stdev(areas):.1f}"
    assert len((out / "sweep.md").read_text().splitlines()) == 6
    assert (out / "task.head=linear" / "logs" / "margin" / "seed-1" / "version_0" / "metrics.csv").is_file()
    # A second call finds everything finished: it logs and runs nothing.
    run_sweep(load_sweep(path), out, logger="csv")
    assert not list(out.rglob("version_1"))
