import subprocess
import sys

import numpy as np
import pytest

from minimax_al.errors import ConfigurationError
from minimax_al.report.blocks import Cell
from minimax_al.report.curves import Curve
from minimax_al.report.tables import figures_table, to_latex, to_markdown


def curve_of(strategy, labels, *seeds, metric="accuracy"):
    return Curve("digits", strategy, metric, tuple(range(len(seeds))), np.array(labels), np.array(seeds, float))


MAL = curve_of("mal", [20, 1000], [0.5, 0.71], [0.6, 0.73])
RANDOM = curve_of("random_1", [20], [0.6])


def test_markdown_by_hand():
    assert to_markdown([MAL, RANDOM]) == (
        "| accuracy, % | 20 | 1,000 |\n"
        "| :-- | --: | --: |\n"
        "| mal | 55.0 ± 7.1 | **72.0** ± 1.4 |\n"
        "| random\\_1 | **60.0** | – |\n"
    )


def test_latex_by_hand():
    assert to_latex([MAL, RANDOM]) == (
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "accuracy, \\% & 20 & 1{,}000 \\\\\n"
        "\\midrule\n"
        "mal & 55.0 $\\pm$ 7.1 & \\textbf{72.0} $\\pm$ 1.4 \\\\\n"
        "random\\_1 & \\textbf{60.0} & -- \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_the_page_table_holds_the_same_figures():
    table = figures_table([MAL, RANDOM], decimals=0)
    assert table.columns == ["labels", "20", "1,000"]
    assert table.rows == [
        ["mal", Cell("55", "± 7"), Cell("72", "± 1", "best")],
        ["random_1", Cell("60", "", "best"), Cell("–", tone="muted")],
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
        [curve_of("a", [20], [3.0], metric="train_seconds"), curve_of("b", [20], [2.0], metric="train_seconds")]
    )
    assert "training, s" in table
    assert "| a | 3.0 |" in table
    assert "| b | **2.0** |" in table


@pytest.mark.parametrize("make", [to_markdown, to_latex, figures_table])
def test_a_table_shows_one_metric(make):
    with pytest.raises(ConfigurationError, match="0 curves given have none"):
        make([])
    with pytest.raises(ConfigurationError, match="have accuracy, miou"):
        make([MAL, curve_of("mal", [20], [0.1], metric="miou")])


def test_a_table_for_a_paper_loads_no_matplotlib():
    program = "import sys\nfrom minimax_al.report import to_latex, to_markdown\nsys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
