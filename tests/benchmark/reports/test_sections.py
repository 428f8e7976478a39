import numpy as np
import pytest

from minimax_al.benchmark.reports.sections import (
    areas_section,
    comparison_section,
    gain_split_section,
    head_middle_tail_section,
    labels_saved_section,
    signed,
)
from minimax_al.benchmark.statistics.comparison import paired_comparison
from minimax_al.benchmark.statistics.gains import (
    Estimate,
    GainPoint,
    GainSplit,
    LabelsSaved,
    SavedPoint,
    gain_split,
    labels_saved,
)
from minimax_al.benchmark.statistics.statistics import HeadMiddleTail, Interval
from minimax_al.report.blocks import ReportPage, Table, TableCell, Text
from minimax_al.report.curves import Curve, Record
from minimax_al.report.page import render_page


def table_of(section):
    return next(block for block in section.blocks if isinstance(block, Table))


def remarks_of(section):
    return [paragraph for block in section.blocks if isinstance(block, Text) for paragraph in block.paragraphs]


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(1.25, 1, "+1.2"), (-0.04, 1, "0.0"), (-1234, 0, "−1,234"), (0.0, 0, "0"), (1234.5, 1, "+1,234.5")],
)
def test_differences_have_their_sign(value, decimals, text):
    assert signed(value, decimals) == text


def test_savings_show_what_is_known():
    points = (
        SavedPoint(0.3, 20, 20.0, 0.0, at_least=True, interval=Interval(0.0, np.inf)),
        SavedPoint(0.5, 40, 30.0, 10.0, at_least=False, interval=Interval(4.0, 12.0)),
        SavedPoint(0.6, 60, 70.0, -10.0, at_least=False, interval=Interval(-np.inf, -2.0)),
        SavedPoint(0.7, 80, None, None, at_least=False, interval=Interval(-np.inf, np.inf)),
    )
    other = LabelsSaved("bald", "random", (0,), points[1:2], ("Omitted: x.",))
    section = labels_saved_section([LabelsSaved("mal", "random", tuple(range(5)), points, ()), other])
    table = table_of(section)
    assert table.columns[1] == TableCell("20", "30.0%")
    assert table.rows[0] == [
        "mal",
        TableCell("≥ 0", "at least 0"),
        TableCell("+10", "+4 to +12", "good"),
        TableCell("−10", "at most −2", "bad"),
        TableCell("not reached", "", "muted"),
    ]
    assert [cell.text for cell in table.rows[1][1:]] == ["–", "+10", "–", "–"]
    needed = section.blocks[1]
    assert needed.rows[0] == [
        "mal",
        TableCell("≤ 20", "at most 20"),
        TableCell("30", "28 to 36"),
        TableCell("70", "at least 62"),
        TableCell("not reached", "", "muted"),
    ]
    assert remarks_of(section) == ["bald: Omitted: x.", "One seed gives no interval."]


def curve_of(strategy, labels, *seeds):
    return Curve("digits", strategy, "accuracy", tuple(range(len(seeds))), np.array(labels), np.array(seeds))


def test_areas_are_over_the_common_labels_best_first():
    curves = [curve_of("a", [20, 40, 60], [0.1, 0.3, 0.9]), curve_of("b", [20, 40], [0.2, 0.4], [0.4, 0.6])]
    rows = table_of(areas_section(curves)).rows
    assert rows == [["b", TableCell("40.00", "0.00 to 100.00"), "14.14", "2"], ["a", TableCell("20.00"), "–", "1"]]
    assert remarks_of(areas_section(curves)) == ["One seed gives no interval."]
    assert "An interval of 2 seeds is wide" in remarks_of(areas_section(curves[1:]))[0]
    assert remarks_of(areas_section([curve_of("c", [20, 40], *np.full((3, 2), 0.5))])) == []
    lonely = areas_section([curve_of("a", [20], [0.1])])
    assert remarks_of(lonely) == ["Fewer than two numbers of labels are common to all."]


def test_the_matrix_shows_difference_p_and_winner():
    records = [
        Record("digits", strategy, seed, round_, labels, "accuracy", level + 0.001 * seed * (strategy == "mal"))
        for strategy, level in (("mal", 0.8), ("random", 0.6))
        for seed in range(7)
        for round_, labels in enumerate((20, 40))
    ]
    section = comparison_section(paired_comparison(records, ("mal", "random")))
    assert table_of(section).rows == [
        ["mal", "1 / 0 / 0", TableCell("", tone="muted"), TableCell("+20.3", "p .016", "win")],
        ["random", "0 / 0 / 1", TableCell("−20.3", "p .016", "loss"), TableCell("", tone="muted")],
    ]
    assert "Wilcoxon" in remarks_of(section)[0]
    untested = comparison_section(paired_comparison([r for r in records if r.seed == 0], ("mal", "random")))
    assert table_of(untested).rows[0][3] == TableCell("+20.0", "not tested")


def test_the_split_shows_points_and_area():
    sure, unsure = Estimate(0.05, Interval(0.01, 0.09)), Estimate(-0.01, Interval(-0.03, 0.02))
    point, area = GainPoint(1000, sure, sure, unsure), GainPoint(None, sure, sure, Estimate(0.0, None))
    section = gain_split_section(GainSplit((0, 1, 2), (point,), area, ("A note.",)))
    good = TableCell("+5.0", "+1.0 to +9.0", "good")
    assert table_of(section).rows == [
        ["1,000", good, good, TableCell("−1.0", "−3.0 to +2.0")],
        ["area under the curve", good, good, TableCell("0.0")],
    ]
    assert remarks_of(section)[0] == "A note."
    assert "random-equal-work" in remarks_of(section)[1]


def test_groups_of_classes_are_means_over_seeds():
    seeds = [HeadMiddleTail(0.8, 0.5, None, (40, 60, 0)), HeadMiddleTail(0.9, 0.5, None, (40, 60, 0))]
    section = head_middle_tail_section({"mal": seeds}, 2000)
    assert table_of(section).columns == ["", "head (40)", "middle (60)", "tail (0)"]
    assert table_of(section).rows == [
        ["mal", TableCell("85.0", "± 7.1"), TableCell("50.0", "± 0.0"), TableCell("–", tone="muted")]
    ]
    other = HeadMiddleTail(0.9, 0.5, 0.1, (20, 60, 20))
    assert table_of(head_middle_tail_section({"mal": [seeds[0], other]}, 2000)).columns[1] == "head"


def test_sections_render():
    section = areas_section([curve_of("a", [1, 2], [0, 1])])
    assert "Area under" in render_page(ReportPage("t", sections=[section]))


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
def test_few_seeds_colour_no_saving(seeds):
    point = SavedPoint(0.5, 40, 30.0, 10.0, at_least=False, interval=Interval(4.0, 12.0))
    section = labels_saved_section([LabelsSaved("mal", "random", tuple(range(seeds)), (point,), ())])
    assert table_of(section).rows[0][1].tone == ""


def test_two_seeds_colour_nothing_on_a_whole_page():
    records = [
        Record("digits", strategy, seed, round_, labels, "accuracy", level + 0.0001 * seed)
        for strategy, level in (("mal", 0.8), ("random+mal", 0.7), ("random", 0.6))
        for seed in range(2)
        for round_, labels in enumerate((20, 40))
    ]
    names = ("mal", "random+mal", "random")
    comparison = paired_comparison(records, names)
    generator = np.random.default_rng(0)
    sections = [
        comparison_section(comparison),
        gain_split_section(gain_split(records)),
        labels_saved_section([labels_saved(records, "mal", "random", generator=generator)]),
    ]
    tones = {
        cell.tone
        for section in sections
        for block in section.blocks
        if isinstance(block, Table)
        for row in block.rows
        for cell in row
        if isinstance(cell, TableCell)
    }
    assert tones <= {"", "muted"}


def test_equal_work_has_columns_of_its_own():
    sure = Estimate(0.05, Interval(0.01, 0.09))
    section = gain_split_section(GainSplit((0, 1, 2), (GainPoint(10, sure, sure, sure, sure, sure),), None, ()))
    assert [cell.text for cell in table_of(section).columns[1:]] == [
        "gain",
        "training",
        "of it, more work",
        "of it, the game",
        "selection",
    ]
    assert len(table_of(section).rows[0]) == 6
    assert remarks_of(section) == []
