from dataclasses import replace

import numpy as np
import pytest

from minimax_al.errors import ShapeError
from minimax_al.report.blocks import Bars, Disclosure, Facts, Figure, Gallery, Image, ReportPage, Table, Text
from minimax_al.report.class_sections import ClassBalance, class_balance_section
from minimax_al.report.curves import Curve, Record
from minimax_al.report.page import render_page
from minimax_al.report.plots import PublishedPoints
from minimax_al.report.sections import (
    PickedRound,
    curves_section,
    figures_section,
    picks_section,
    provenance_section,
    set_aside_section,
    timing_section,
)


def blocks_of(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def curve_of(strategy, seeds=2, left_out=()):
    values = np.linspace(0.1, 0.4, 2 * seeds).reshape(seeds, 2)
    return Curve("digits", strategy, "accuracy", tuple(range(seeds)), np.array([20, 40]), values, left_out)


def balance(round_, counts, groups=(), seed=0):
    return ClassBalance("mal", seed, round_, [f"class {k}" for k in range(len(counts))], counts, groups)


def test_few_curves_are_one_figure_and_many_have_one_each_as_well():
    assert len(blocks_of(curves_section([curve_of("a")]), Figure)) == 1
    assert len(blocks_of(curves_section([curve_of(f"s{i}") for i in range(7)]), Figure)) == 2


def test_omissions_and_caveats_are_listed():
    published = [PublishedPoints(s, (20,), (0.3,), source="Table 2", caveat="Beware.") for s in ("mal", "vaal")]
    section = curves_section([curve_of("mal", left_out=(60, 80))], published)
    said = blocks_of(section, Text)[0].paragraphs
    assert said[0] == "mal: the curve omits 60, 80 labels, which not every seed has."
    assert said[1:] == ["Open marks: Table 2. Beware."]


@pytest.mark.parametrize(
    ("curves", "words"),
    [
        ([curve_of("a", 1), curve_of("b", 1)], "One seed"),
        ([curve_of("a", 1)], ""),
        ([curve_of("a", 3)], "over 3 seeds"),
        ([curve_of("a", 1), curve_of("b", 3)], "over 1 to 3 seeds"),
    ],
)
def test_the_number_of_seeds_is_shown(curves, words):
    assert words in blocks_of(curves_section(curves), Figure)[0].caption


def test_figures_come_with_what_a_paper_needs():
    section = figures_section([curve_of("mal")])
    paste = blocks_of(section, Disclosure)[0].blocks
    assert paste[0].text.startswith("| accuracy")
    assert paste[1].text.startswith(r"\begin{tabular}")


def test_a_campaigns_curve_has_intervals_and_no_word_about_seeds_or_papers():
    curve = replace(curve_of("accuracy so far", 1), intervals=np.array([[0.05, 0.2], [0.3, 0.5]]))
    sections = [curves_section([curve]), figures_section([curve], paste=False)]
    text = render_page(ReportPage("Shop photos", sections=sections))
    assert "Band: 95% interval." in text
    assert "fill-opacity: 0.12" in text
    body = text[text.index("<body>") :].lower()
    assert not [word for word in ("seed", "paper", "bold") if word in body]


def test_work_is_shown_and_unequal_work_is_pointed_out():
    times = [Record("digits", name, 0, 0, 20, "train_seconds", 1.5) for name in ("mal", "random")]
    work = [
        Record("digits", name, 0, 0, 20, metric, value)
        for name, steps in (("mal", 600.0), ("random", 200.0))
        for metric, value in (("train_steps", steps), ("train_images", 64 * steps))
    ]
    section = timing_section([*times, *work], "digits")
    assert blocks_of(section, Table)[0].rows[0] == ["mal", "1.50", "–", "1.5", "600", "38,400"]
    assert "random-equal-work" in blocks_of(section, Text)[0].paragraphs[0]
    equal = [record._replace(value=5.0) if record.metric == "train_steps" else record for record in work]
    assert not blocks_of(timing_section([*times, *equal], "digits"), Text)


def test_picks_are_folded_by_run_in_the_order_of_rounds():
    image = Image("data:,", "a.png")
    rounds = [
        PickedRound("mal", 0, 2, 60, [image], omitted=19),
        PickedRound("mal", 0, 1, 40, [image] * 20),
        PickedRound("random", None, 1, 40, [image]),
    ]
    folds = blocks_of(picks_section(rounds), Disclosure)
    assert [(fold.summary, fold.open) for fold in folds] == [("mal, seed 0", True), ("random", False)]
    assert all(isinstance(block, Gallery) for block in folds[0].blocks)
    assert [block.caption for block in folds[0].blocks] == [
        "Round 1: 20 picked, 40 labels",
        "Round 2: 20 picked, 60 labels",
    ]


@pytest.mark.parametrize(
    ("counts", "evenness"),
    [([5, 5, 5], 1.0), ([9, 0, 0], 0.0), ([1, 1, 0, 0], 0.5), ([7], 1.0), ([0, 0], 0.0)],
)
def test_evenness_is_entropy_over_its_maximum(counts, evenness):
    assert balance(0, counts).evenness == pytest.approx(evenness)


def test_bars_of_a_run_share_their_top_and_are_ordered_by_group():
    section = class_balance_section([balance(1, [1, 8, 3], (2, 0, 1)), balance(0, [1, 2, 0], (2, 0, 1))])
    rows = blocks_of(section, Disclosure)[0].blocks
    assert all(isinstance(row, Bars) and row.top == 8 for row in rows)
    assert [bar.label for bar in rows[0].bars] == ["class 1", "class 2", "class 0"]
    assert rows[0].caption == "Round 0: 3 labels, 2 of 3 classes, 0 to 2 per class"


def test_thousands_of_classes_are_merged():
    rows = blocks_of(class_balance_section([balance(0, list(range(8142)))]), Disclosure)[0].blocks
    assert len(rows[0].bars) <= 160
    assert "51 classes per bar" in rows[0].caption
    assert rows[0].bars[0].value == pytest.approx(np.mean(range(51)))


def test_evenness_is_the_mean_over_seeds():
    table = blocks_of(class_balance_section([balance(0, [2, 2]), balance(0, [4, 0], seed=1)]), Table)[0]
    assert table.rows == [["mal", "50.0"]]


def test_counts_must_match_the_names():
    with pytest.raises(ShapeError, match="mal, seed 0, round 3: 2 counts for 1 class names"):
        class_balance_section([ClassBalance("mal", 0, 3, ["a"], [1, 2])])


def test_times_are_means_and_totals_by_hand():
    records = [
        Record("digits", "mal", seed, round_, 20, metric, value)
        for seed in (0, 1)
        for round_ in (0, 1)
        for metric, value in (("train_seconds", 10.0 + seed), ("query_seconds", 1.0), ("accuracy", 0.5))
    ]
    section = timing_section(records, "digits")
    assert section is not None
    assert blocks_of(section, Table)[0].rows == [["mal", "10.50", "1.00", "23.0"]]
    assert timing_section(records, "cifar10") is None


def test_files_set_aside_are_listed_or_counted():
    assert set_aside_section([]) is None
    section = set_aside_section([(f"{i}.png", "empty file") for i in range(1234)])
    assert section is not None
    assert blocks_of(section, Text)[0].paragraphs == ["1,234 files could not be used and were left out."]
    assert len(blocks_of(section, Table)[0].rows) == 200
    assert blocks_of(section, Text)[1].paragraphs == ["and 1,034 more"]


def test_provenance_folds_what_is_nested():
    section = provenance_section({"command": "mal demo", "configuration": {"budget": 20}})
    assert blocks_of(section, Facts)[0].items == [("command", "mal demo")]
    fold = blocks_of(section, Disclosure)[0]
    assert (fold.summary, fold.blocks[0].items) == ("configuration", [("budget", "20")])


def test_all_sections_render():
    sections = [
        curves_section([curve_of("mal")]),
        figures_section([curve_of("mal")]),
        picks_section([PickedRound("mal", 0, 1, 40, [Image("data:,", "a")])], "a note"),
        class_balance_section([balance(0, [1, 2], (0, 1))]),
        set_aside_section([("a", "b")]),
        provenance_section({"a": 1, "b": {"c": 2}}),
    ]
    document = render_page(ReportPage("t", sections=sections))
    assert all(section.title in document for section in sections if section)
