import csv
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from minimax_al.errors import ConfigurationError
from minimax_al.report.blocks import Table, TableCell
from minimax_al.report.curves import Curve
from minimax_al.report.tables import best_at, figures_table, table_to_csv, table_to_latex, to_latex, to_markdown


def curve_of(strategy, labels, *seeds, metric="accuracy"):
    return Curve("digits", strategy, metric, tuple(range(len(seeds))), np.array(labels), np.array(seeds, float))


MAL = curve_of("mal", [20, 1000], [0.5, 0.71], [0.6, 0.73], [0.55, 0.72])
RANDOM = curve_of("random_1", [20], [0.7], [0.8], [0.75])


def test_markdown_by_hand():
    assert to_markdown([MAL, RANDOM]) == (
        "| accuracy, % | 20 | 1,000 |\n"
        "| :-- | --: | --: |\n"
        "| mal | 55.0 ± 5.0 | 72.0 ± 1.0 |\n"
        "| random\\_1 | **75.0** ± 5.0 | – |\n"
    )


def test_latex_by_hand():
    assert to_latex([MAL, RANDOM]) == (
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "accuracy, \\% & 20 & 1{,}000 \\\\\n"
        "\\midrule\n"
        "mal & 55.0 $\\pm$ 5.0 & 72.0 $\\pm$ 1.0 \\\\\n"
        "random\\_1 & \\textbf{75.0} $\\pm$ 5.0 & -- \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_the_page_table_holds_the_same_figures():
    table = figures_table([MAL, RANDOM], decimals=0)
    assert table.columns == ["labels", "20", "1,000"]
    assert table.rows == [
        ["mal", TableCell("55", "± 5"), TableCell("72", "± 1")],
        ["random_1", TableCell("75", "± 5", "best"), TableCell("–", tone="muted")],
    ]


def test_names_cannot_break_the_tables():
    hostile = curve_of(r"a|b\c%&$#_{}~^<>", [20], [0.5])
    assert r"a\|b\\c%&\$#\_{}~^\<>" in to_markdown([hostile])
    assert (
        r"a|b\textbackslash{}c\%\&\$\#\_\{\}\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}"
        in to_latex([hostile])
    )


def test_less_is_better_for_times_which_are_no_percent():
    table = to_markdown(
        [
            curve_of("a", [20], [3.0], [3.1], [3.2], metric="train_seconds"),
            curve_of("b", [20], [2.0], [2.0], [2.0], metric="train_seconds"),
        ]
    )
    assert "training, s" in table
    assert "| a | 3.1 ± 0.1 |" in table
    assert "| b | **2.0** ± 0.0 |" in table


@pytest.mark.parametrize("make", [to_markdown, to_latex, figures_table])
def test_a_table_shows_one_metric(make):
    with pytest.raises(ConfigurationError, match="0 given curves have none"):
        make([])
    with pytest.raises(ConfigurationError, match="have accuracy, miou"):
        make([MAL, curve_of("mal", [20], [0.1], metric="miou")])


def test_a_table_for_a_paper_loads_no_matplotlib():
    program = "import sys\nfrom minimax_al.report import to_latex, to_markdown\nsys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def at_20(**strategies):
    return [curve_of(name, [20], *([value] for value in values)) for name, values in strategies.items()]


@pytest.mark.parametrize(
    ("curves", "bold"),
    [
        (at_20(a=[0.9, 0.9], b=[0.1, 0.2]), set()),  # two seeds separate nothing
        (at_20(a=[0.9, 0.91, 0.92], b=[0.1, 0.11, 0.13]), {"a"}),
        (at_20(a=[0.9, 0.5, 0.7], b=[0.6, 0.8, 0.69]), {"a", "b"}),
        (at_20(a=[0.7, 0.7, 0.7], b=[0.7, 0.7, 0.7], c=[0.1, 0.1, 0.1]), {"a", "b"}),
        (at_20(a=[0.9, 0.91, 0.92]), set()),  # one strategy has nothing to be better than
    ],
)
def test_bold_needs_seeds_and_an_interval(curves, bold):
    assert best_at(curves) == {20: bold}


def test_bold_ties_agree_with_a_paired_t_test():
    generator = np.random.default_rng(0)
    for _ in range(30):
        one, two = generator.normal(0.5, 0.05, (2, 5)) + np.array([[0.04], [0.0]])
        ahead, behind = (one, two) if one.mean() > two.mean() else (two, one)
        is_tie = stats.ttest_rel(ahead, behind).pvalue > 0.05
        assert len(best_at(at_20(a=one, b=two))[20]) == (2 if is_tie else 1)


def test_any_table_of_a_page_goes_to_csv_and_latex():
    table = Table(
        ["", TableCell("20", "labels"), "p"],
        [["a_b", TableCell("+1,2", "± 3"), TableCell("x", tone="win")], ["c", "–", ""]],
    )
    assert list(csv.reader(table_to_csv(table).splitlines())) == [
        ["", "20 (labels)", "20 (labels) (detail)", "p"],
        ["a_b", "+1,2", "± 3", "x"],
        ["c", "–", "", ""],
    ]
    latex = table_to_latex(table)
    assert r"a\_b & +1,2 $\pm$ 3 & \textbf{x} \\" in latex
    assert r"c & -- &  \\" in latex
