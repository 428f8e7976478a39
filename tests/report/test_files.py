import csv

import numpy as np

from minimax_al.report.blocks import Code, Disclosure, ReportPage, Section, Table, Text
from minimax_al.report.curves import Curve
from minimax_al.report.files import write_figure, write_tables
from minimax_al.report.plots import curve_files

CURVE = Curve("digits", "mal", "accuracy", (0, 1), np.array([20, 40]), np.array([[0.1, 0.2], [0.2, 0.4]]))


def test_every_table_becomes_two_files(tmp_path):
    table = Table(["", "n"], [["a", "1"]])
    folded = Disclosure("more", [Table(["", "m"], [["b", "2"]]), Code("y")])
    page = ReportPage(
        "t",
        sections=[
            Section("Labels saved", [table, Text(["x"]), folded]),
            None,
            Section("Labels saved", [table]),
        ],
    )
    written = write_tables(tmp_path / "tables", page)
    assert [path.name for path in written] == [
        f"{stem}.{suffix}" for stem in ("labels-saved", "labels-saved-2", "labels-saved-3") for suffix in ("csv", "tex")
    ]
    assert list(csv.reader(written[2].read_text().splitlines())) == [["", "m"], ["b", "2"]]
    assert written[1].read_text().startswith(r"\begin{tabular}{lr}")


def test_a_figure_is_written_in_three_formats_and_always_equal(tmp_path):
    contents = curve_files([CURVE])
    write_figure(tmp_path, "curve", contents)
    signatures = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG"}
    for name, signature in signatures.items():
        assert (tmp_path / f"curve.{name}").read_bytes().startswith(signature)
    assert contents == curve_files([CURVE])
    assert b"/Type3" not in contents["pdf"]
