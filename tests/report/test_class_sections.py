import numpy as np
import pytest

from minimax_al.errors import ShapeError
from minimax_al.report.blocks import Disclosure, Gallery, Image, ReportPage, Table, Text
from minimax_al.report.class_sections import ClassScore, class_scores_section, confusion_section, mistakes_section
from minimax_al.report.page import render_page

COUNTS = np.array([[8, 2, 0], [0, 5, 0], [1, 4, 5]])
NAMES = ["ant", "bee", "cat"]


def tables(section):
    return [block for block in section.blocks if isinstance(block, Table)]


def texts(table):
    return [[cell if isinstance(cell, str) else cell.text for cell in row] for row in table.rows]


def test_the_most_frequent_confusion_is_first():
    pairs, matrix = tables(confusion_section(COUNTS, NAMES))
    assert texts(pairs) == [["cat", "bee", "4", "40.0"], ["ant", "bee", "2", "20.0"], ["cat", "ant", "1", "10.0"]]
    assert [[cell.text for cell in row[1:]] for row in matrix.rows] == [["8", "2", ""], ["", "5", ""], ["1", "4", "5"]]
    assert [row[1 + k].shade for k, row in enumerate(matrix.rows)] == [0.8, 1.0, 0.5]


def test_many_classes_are_listed_as_pairs_alone():
    counts = np.eye(40, dtype=int) * 3
    counts[4, 7] = 2
    (pairs,) = tables(confusion_section(counts, [f"c{k}" for k in range(40)]))
    assert texts(pairs) == [["c4", "c7", "2", "40.0"]]


def test_a_model_without_errors_has_no_pairs():
    section = confusion_section(np.eye(3, dtype=int), NAMES)
    assert section.blocks[0] == Text(["No images are confused."])


@pytest.mark.parametrize("counts", [np.zeros((2, 3)), np.zeros((2, 2)), np.zeros(3)])
def test_a_matrix_of_another_size_is_refused(counts):
    with pytest.raises(ShapeError, match=r"of 3 classes has shape \(3, 3\)"):
        confusion_section(counts, NAMES)


def test_the_worst_class_is_first_and_untested_ones_are_last():
    scores = [
        ClassScore("ant", 0.9, (0.8, 0.95), 100, 12),
        ClassScore("bee", None),
        ClassScore("cat", 0.25, (0.1, 0.5), 20, 3),
    ]
    (table,) = tables(class_scores_section(scores))
    assert [row[0] for row in table.rows] == ["cat", "ant", "bee"]
    assert (table.rows[0][1].text, table.rows[0][1].detail, table.rows[0][2:]) == ("25.0", "10 to 50", ["20", "3"])
    assert table.rows[2][1].text == "not tested"


def test_wrong_images_come_before_correct_ones():
    images = [Image("data:,", f"{k}.png") for k in range(3)]
    section = mistakes_section(images[:2], images[2:], wrong_count=12, right_count=88)
    gallery, fold = section.blocks
    assert isinstance(gallery, Gallery)
    assert (len(gallery.images), gallery.omitted) == (2, 10)
    assert isinstance(fold, Disclosure)
    assert fold.blocks[0].omitted == 87
    assert mistakes_section([], images, wrong_count=0, right_count=3).blocks[0] == Text(["No prediction is wrong."])


def test_a_campaigns_sections_render_with_hostile_names():
    names = ["<b>", '"x"', "a & b"]
    sections = [confusion_section(COUNTS, names), class_scores_section([ClassScore(name, 0.5) for name in names])]
    text = render_page(ReportPage("t", sections=sections))
    assert "<b>" not in text.replace("<body>", "")
    assert "--shade: 0.800" in text
