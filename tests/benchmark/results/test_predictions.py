import csv
from collections import Counter

import pytest

from minimax_al.benchmark import load_protocol, run_grid, write_predictions
from minimax_al.benchmark.folders.round_files import read_rounds
from minimax_al.benchmark.runs.grid import Cell
from minimax_al.cli import main
from minimax_al.errors import ResultsError


@pytest.fixture
def results(tiny, tmp_path):
    protocol = tiny.model_copy(update={"points": 2, "seeds": 1, "strategies": ("random", "random+mal")})
    run_grid(protocol, tmp_path / "out")
    return protocol, tmp_path / "out"


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_predictions_give_the_recorded_accuracy(results, tmp_path):
    protocol, out = results
    assert write_predictions(out, tmp_path / "p.csv", every_round=True) == 2 * 2 * 500
    rows = rows_of(tmp_path / "p.csv")
    for strategy in protocol.strategies:
        for result in read_rounds(Cell(strategy, 0).folder(out), protocol):
            mine = [row for row in rows if row["strategy"] == strategy and row["round"] == str(result.round)]
            right = sum(row["class"] == row["predicted"] for row in mine) / len(mine)
            assert right == pytest.approx(result.metrics["accuracy"])
            totals = Counter(row["class"] for row in mine)
            hits = Counter(row["class"] for row in mine if row["class"] == row["predicted"])
            shares = [hits[name] / totals[name] for name in sorted(totals)]
            assert shares == pytest.approx(result.per_class)
    names = [row["image"] for row in rows[:500]]
    assert names == list(protocol.load().test.names)


def test_the_command_writes_the_last_round(results, tmp_path, capsys):
    _, out = results
    assert main(["bench", "predictions", str(out), str(tmp_path / "p.csv")]) == 0
    assert "1,000 predictions" in capsys.readouterr().out
    assert {row["round"] for row in rows_of(tmp_path / "p.csv")} == {"1"}


def test_results_without_predictions_are_refused(results, tmp_path):
    _, out = results
    next(out.rglob("round-1.predictions.safetensors")).unlink()
    with pytest.raises(ResultsError, match=r"has no predictions .* older versions keep none"):
        write_predictions(out, tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()


def test_masks_have_no_predictions(tmp_path):
    shapes = load_protocol("shapes", strategies=("random",), seeds=1, points=1)
    quick = {"epochs": 1, "steps_per_epoch": 1}
    recipe = shapes.recipe.model_copy(update={"task": shapes.recipe.task.model_copy(update=quick), "width": 4})
    run_grid(shapes.model_copy(update={"recipe": recipe}), tmp_path / "out")
    with pytest.raises(ResultsError, match="only in classification"):
        write_predictions(tmp_path / "out", tmp_path / "p.csv")
