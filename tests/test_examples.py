import re
import runpy
import sys
from pathlib import Path

ONE_FILE = Path(__file__).parents[1] / "examples" / "minimax_one_file.py"


def test_the_algorithm_in_one_file_runs_by_itself(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(ONE_FILE), "--quick"])
    runpy.run_path(str(ONE_FILE), run_name="__main__")
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["labels", "20", "30"]
    assert [row.split()[0] for row in rows] == ["random", "mal"]
    assert all(0 < float(value) <= 100 for row in rows for value in re.findall(r"([\d.]+)%", row))
    source = ONE_FILE.read_text(encoding="utf-8")
    assert "import minimax_al" not in source
    assert "from minimax_al" not in source
    assert len(source.splitlines()) < 180
