"""Files of a cell: which rounds count as finished, and which are run again."""

import json
import shutil
from pathlib import Path

import pytest

from minimax_al.benchmark.folders.round_files import read_rounds, resume_rounds
from minimax_al.benchmark.runs.cell import run_cell
from minimax_al.benchmark.runs.grid import Cell
from minimax_al.errors import ResultsError

DAMAGE = {
    "empty": lambda folder: (folder / "round-1.json").write_bytes(b""),
    "half": lambda folder: (folder / "round-1.json").write_bytes(b'{"round": 1,'),
    "another form": lambda folder: (folder / "round-1.json").write_bytes(b"[]"),
    "another round": lambda folder: shutil.copy(folder / "round-0.json", folder / "round-1.json"),
    "no picks": lambda folder: (folder / "round-1.json").write_text(
        json.dumps(json.loads((folder / "round-1.json").read_text()) | {"picks": None})
    ),
    "no scores": lambda folder: (folder / "round-1.scores.safetensors").unlink(),
    "half a model": lambda folder: (folder / "round-1.model.safetensors").write_bytes(b"0123456789"),
}


@pytest.fixture
def cell(tiny, tmp_path, finished):
    """A protocol of four points, and the folder of a cell that has run them."""
    protocol = tiny.model_copy(update={"strategies": ("random",), "seeds": 1, "points": 4})
    finished(protocol, tmp_path / "grid")
    return protocol, Cell("random", 0).folder(tmp_path / "grid")


def counting(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("round-*.json")}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_round_and_all_after_it_are_run_again(cell, damage, caplog):
    protocol, folder = cell
    before = read_rounds(folder, protocol)
    DAMAGE[damage](folder)
    assert [result.round for result in read_rounds(folder, protocol)] == [0]
    assert "must be run again" in caplog.text
    assert counting(folder) == {f"round-{number}.json" for number in range(4)}  # to read is not to change
    after = run_cell(protocol, protocol.load(), "random", 0, folder)
    assert {path.name for path in folder.glob("*.damaged")} == {f"round-{number}.damaged" for number in (1, 2, 3)}
    assert [(result.picks, result.metrics) for result in after] == [(r.picks, r.metrics) for r in before]


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_no_round_counts_again_where_the_renaming_was_interrupted(cell, renamed, monkeypatch):
    protocol, folder = cell
    DAMAGE["half"](folder)
    left, replace = [renamed], Path.replace

    def interrupted(path, target):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            resume_rounds(folder, protocol)
    assert [result.round for result in resume_rounds(folder, protocol)] == [0]
    assert counting(folder) == {"round-0.json"}


def test_a_round_after_a_gap_does_not_count(cell):
    protocol, folder = cell
    (folder / "round-1.json").unlink()
    assert len(resume_rounds(folder, protocol)) == 1
    assert counting(folder) == {"round-0.json"}


def test_a_file_that_cannot_be_renamed_is_named(cell):
    protocol, folder = cell
    DAMAGE["half"](folder)
    (folder / "round-3.damaged" / "in the way").mkdir(parents=True)
    with pytest.raises(ResultsError, match=r"round-3\.json' cannot be renamed"):
        resume_rounds(folder, protocol)
