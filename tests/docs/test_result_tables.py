"""Tables of the grid on features: intervals by seed within data sets, and the page's tables from the measurements."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
GRID = ROOT / "experiments" / "features-grid"


@pytest.fixture
def intervals(monkeypatch):
    monkeypatch.syspath_prepend(GRID)
    import intervals

    return intervals


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(GRID)
    import tables

    return tables


def test_draws_of_one_seed_count_once(intervals):
    by_seed = {0: [1.0], 1: [2.0], 2: [4.0], 3: [9.0], 4: [5.0]}
    repeated = {seed: values * (50 if seed == 3 else 2) for seed, values in by_seed.items()}
    mean, interval = intervals.clustered_difference({"one": by_seed})
    assert intervals.clustered_difference({"one": repeated}) == (mean, interval)
    # On one set with one draw per seed it is the plain bootstrap over seeds.
    values = np.array([each[0] for each in by_seed.values()])
    assert (mean, interval) == intervals.difference(values, np.zeros(5))


def test_seeds_are_resampled_within_their_set_and_sets_weigh_the_same(intervals):
    gaps = {"large": {0: [0.0, 2.0], 1: [4.0], 2: [7.0]}, "small": {0: [10.0], 1: [20.0, 22.0]}}
    mean, interval = intervals.clustered_difference(gaps)
    assert mean == pytest.approx(np.mean([np.mean([1, 4, 7]), np.mean([10, 21])]))
    outcomes = [
        np.mean([np.mean(large), np.mean(small)])
        for large in itertools.product([1, 4, 7], repeat=3)
        for small in itertools.product([10, 21], repeat=2)
    ]
    low, high = np.quantile(outcomes, [0.025, 0.975], method="inverted_cdf")
    assert (interval.low, interval.high) == pytest.approx((low, high))


@pytest.mark.parametrize("gaps", [{"one": {0: [1.0, 2.0]}}, {"one": {0: [1.0]}, "two": {0: [1.0], 1: [2.0]}}])
def test_a_set_of_one_seed_has_no_interval(intervals, gaps):
    assert intervals.clustered_difference(gaps)[1] is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("no table\n", "has no line '<!-- table: choice -->'"),
        ("<!-- table: choice -->\nold\n", "has no line '<!-- end of table -->' after '<!-- table: choice -->'"),
        (
            "<!-- table: choice -->\nold\n<!-- table: curves -->\n<!-- end of table -->\n",
            "has no line '<!-- end of table -->' after '<!-- table: choice -->'",
        ),
        ("<!-- table: choice -->\n<!-- end of table -->\n" * 2, "has 2 lines '<!-- table: choice -->'"),
    ],
)
def test_a_page_without_the_comments_of_a_table_stays_as_it_is(tables, tmp_path, text, sentence):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=re.escape(sentence)):
        tables.replace_table(page, "choice", "| new |")
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", ["training", "choice", "imbalance", "curves", "areas", "short"])
def test_tables_of_the_page_are_those_of_the_measurements(tables, tmp_path, name):
    page = tmp_path / "results.md"
    published = (ROOT / ("README.md" if name == "short" else "docs/results_features.md")).read_text(encoding="utf-8")
    page.write_text(published, encoding="utf-8")
    if name == "imbalance":
        lines = tables.imbalance(tables.read(GRID / "imbalance.csv"))
    elif name == "areas":
        folder = GRID / "comparison"
        lines = tables.areas(
            tables.read(folder / "area-under-the-curve.csv"), tables.read(folder / "average-ranks.csv")
        )
    elif name in {"curves", "short"}:
        lines = tables.curves(
            tables.read(GRID / "curves.csv"), tables.STRATEGIES, "accuracy", last_only=name == "short"
        )
    else:
        lines = tables.parts(tables.read_parts(GRID / "mal_parts.csv"), name)
    tables.replace_table(page, name, "\n".join(lines))
    assert page.read_text(encoding="utf-8") == published


@pytest.mark.parametrize("recipe", ["paper", "vaal-code"])
@pytest.mark.parametrize(("folder", "heading"), [("digits", "digits"), ("cifar100", "CIFAR-100")])
def test_the_parts_of_the_gain_are_those_of_the_runs(tables, folder, heading, recipe):
    area = tables.read(ROOT / "experiments" / f"{folder}-equal-work" / recipe / "parts-of-the-gain.csv")[-1]
    names = ("gain", "of it, more work", "of it, the game", "selection")
    columns = [next(key for key in area if key.startswith(name)) for name in names]
    cells = [f"{area[key]} [{area[f'{key} (detail)'].replace('+', '').replace(' to ', ', ')}]" for key in columns]
    page = (ROOT / "docs/results_networks.md").read_text(encoding="utf-8")
    table = page[page.index(f"| {heading} | `mal` − `random` |") :]
    row = next(line for line in table.splitlines() if line.startswith(f"| `{recipe}` | "))
    assert row == f"| `{recipe}` | {' | '.join(cells)} |"
