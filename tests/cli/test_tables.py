"""Tables on standard output: no cell loses a character, whatever the width."""

from rich.console import Console

from minimax_al.cli import printing

COLUMNS = ("initial", "strategy", "area")
ROWS = [("probcover", "cluster_margin(factor=5)", "76.8 ± 1.0"), ("random", "mal(rule=union,warmup_steps=100)", "66.6")]


def test_a_pipe_gets_each_row_on_one_line(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    printing.show_table(COLUMNS, ROWS, words=(0, 1))
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == list(COLUMNS)
    assert [line.split() for line in lines] == [" ".join(row).split() for row in ROWS]


def test_a_narrow_terminal_shows_long_cells_on_several_lines(monkeypatch, capsys):
    monkeypatch.setattr(printing, "terminal", lambda: Console(width=30, force_terminal=True, color_system=None))
    printing.show_table(COLUMNS, ROWS)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 30
    shown = sorted("".join(out.split()))
    assert shown == sorted("".join("".join(row) for row in (COLUMNS, *ROWS)).replace(" ", ""))
