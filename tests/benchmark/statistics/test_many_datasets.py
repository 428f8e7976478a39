"""Comparison over several data sets: ranks, tests, needed labels, page."""

import json

import numpy as np
import pytest
from scipy import stats

from minimax_al.benchmark import run_grid, write_comparison
from minimax_al.benchmark.runs.full_labels import read_full_labels
from minimax_al.benchmark.statistics.comparison import holm
from minimax_al.benchmark.statistics.many_datasets import (
    DatasetResults,
    compare_many,
    critical_difference,
    groups_within,
    labels_needed,
    reference_accuracy,
)
from minimax_al.cli import main
from minimax_al.errors import ResultsError
from minimax_al.report.curves import Record

NAMES = ("a", "b", "c", "d")


def entry_of(name, values, labels=(20, 40, 60), full=()):
    """Results from {strategy: (S, P) values}."""
    records = [
        Record(name, strategy, seed, round_, labels[round_], "accuracy", float(value))
        for strategy, seeds in values.items()
        for seed, points in enumerate(seeds)
        for round_, value in enumerate(points)
    ]
    return DatasetResults(name, records, "accuracy", full)


def random_entries(datasets, seeds=3, seed=0):
    generator = np.random.default_rng(seed)
    return [
        entry_of(f"set {d}", {name: generator.uniform(0.3, 0.9, (seeds, 3)) for name in NAMES}) for d in range(datasets)
    ]


def areas_of(entries):
    found = np.zeros((len(entries), len(NAMES)))
    for d, entry in enumerate(entries):
        for k, name in enumerate(NAMES):
            rows = {}
            for record in entry.records:
                if record.strategy == name:
                    rows.setdefault(record.seed, []).append(record.value)
            found[d, k] = np.mean([(y[0] / 2 + y[1] + y[2] / 2) / 2 for y in rows.values()])
    return found


def test_ranks_and_tests_are_scipys_on_the_areas():
    entries = random_entries(9)
    result, areas = compare_many(entries), areas_of(entries)
    assert result.areas == pytest.approx(areas)
    assert result.average_ranks == pytest.approx(stats.rankdata(-areas, axis=1).mean(axis=0))
    assert result.friedman_p == pytest.approx(stats.friedmanchisquare(*areas.T).pvalue)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    raw = [stats.wilcoxon(areas[:, i], areas[:, j]).pvalue for i, j in pairs]
    assert [result.p[i, j] for i, j in pairs] == pytest.approx(holm(raw).tolist())
    assert result.wins[0, 1] == (areas[:, 0] > areas[:, 1]).sum()
    assert (result.wins + result.wins.T)[~np.eye(4, dtype=bool)] == pytest.approx(9)


@pytest.mark.parametrize(
    ("strategies", "datasets", "q"), [(2, 10, 1.960), (4, 14, 2.569), (10, 30, 3.164)]
)  # Demsar 2006, Table 5(a)
def test_the_critical_difference_has_demsars_q(strategies, datasets, q):
    expected = q * np.sqrt(strategies * (strategies + 1) / (6 * datasets))
    assert critical_difference(strategies, datasets) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("ranks", "difference", "groups"),
    [
        ([1.0, 2.0, 3.0], 0.5, []),
        ([1.0, 2.0, 3.0], 1.0, [(0, 1), (1, 2)]),
        ([3.0, 1.0, 2.0], 5.0, [(0, 2)]),
        ([1.0, 1.2, 3.0, 3.1], 0.5, [(0, 1), (2, 3)]),
        ([1.0, 1.0], 0.0, [(0, 1)]),
    ],
)
def test_bars_join_what_is_not_separated(ranks, difference, groups):
    assert groups_within(np.array(ranks), difference) == groups


def test_ties_share_ranks_and_wins():
    flat = {name: np.full((2, 3), 0.5) for name in ("a", "b")}
    result = compare_many([entry_of("x", flat), entry_of("y", flat)])
    assert result.ranks.tolist() == [[1.5, 1.5], [1.5, 1.5]]
    assert result.wins.tolist() == [[0, 1], [1, 0]]
    assert result.p[0, 1] == 1.0


def test_strategies_that_one_data_set_lacks_are_omitted_and_named():
    one, two = random_entries(2)
    fewer = DatasetResults(two.name, [r for r in two.records if r.strategy != "d"], "accuracy")
    result = compare_many([one, fewer])
    assert result.strategies == ("a", "b", "c")
    assert "Omitted, because not every data set has them: d." in result.notes
    assert any("no pair can be separated" in note for note in result.notes)


def test_too_little_in_common_is_refused():
    one, two = random_entries(2)
    lonely = DatasetResults(two.name, [r for r in two.records if r.strategy == "a"], "accuracy")
    with pytest.raises(ResultsError, match="2 data sets share 1 finished strategies"):
        compare_many([one, lonely])
    with pytest.raises(ResultsError, match="one name twice"):
        compare_many([one, one])


def test_labels_needed_by_hand():
    values = {"a": [[0.2, 0.6, 0.8], [0.4, 0.6, 1.0]], "b": [[0.1, 0.2, 0.3]] * 2}
    entry = entry_of("x", values, full=[0.9, 1.1])
    curves = compare_many([entry]).curves["x"]
    assert reference_accuracy(entry, curves) == (pytest.approx(1.0), True)
    first, second = labels_needed(curves, 0.75, np.random.default_rng(0))
    assert first.labels == pytest.approx(50)  # mean curve 0.3, 0.6, 0.9
    assert (first.interval.low, first.interval.high) == pytest.approx((47.5, 55))  # each seed alone
    assert (second.labels, second.at_most) == (None, False)
    assert np.isinf(second.interval.low)
    (above, _) = labels_needed(curves, 0.3, np.random.default_rng(0))
    assert (above.labels, above.at_most) == (20, True)
    without = DatasetResults(entry.name, entry.records, "accuracy")
    assert reference_accuracy(without, curves) == (pytest.approx(0.9), False)


@pytest.fixture
def folders(tiny, tmp_path):
    protocol = tiny.model_copy(update={"points": 2, "strategies": ("random", "entropy", "margin")})
    run_grid(protocol, tmp_path / "one", full_labels=True)
    run_grid(protocol.model_copy(update={"seeds": 1}), tmp_path / "two")
    return protocol, tmp_path


def test_the_page_has_figures_and_tables_as_files(folders):
    protocol, base = folders
    full = read_full_labels(protocol, base / "one", "accuracy")
    recorded = json.loads((base / "one" / "full-labels" / "seed-0" / "round-0.json").read_text())
    assert len(full) == 2
    assert (recorded["labels"], recorded["metrics"]["accuracy"]) == (1297, full[0])
    out = base / "out"
    page = write_comparison([base / "one", base / "two"], out).read_text()
    assert "digits (one)" in page
    assert "Labels for 90% of the full-label accuracy" in page
    assert "No model was trained on all labels of digits (two)" in page
    assert {"ranks.svg", "ranks.pdf", "ranks.png", "curves.csv"} <= {path.name for path in out.iterdir()}
    tables = {path.name for path in (out / "tables").iterdir()}
    assert {"wins.csv", "wins.tex", "average-ranks.csv", "area-under-the-curve.tex"} <= tables
    write_comparison([base / "one", base / "two"], base / "again")
    assert (base / "again" / "compare.html").read_text() == page


def test_the_command_compares_and_refuses(folders, capsys):
    _, base = folders
    assert main(["bench", "compare", str(base / "one"), str(base / "two"), "--out", str(base / "out")]) == 0
    assert "compare.html" in capsys.readouterr().out
    assert main(["bench", "compare", str(base / "nowhere"), "--out", str(base / "no")]) == 2
    assert "is not a results folder" in capsys.readouterr().err
    assert not (base / "no").exists()
