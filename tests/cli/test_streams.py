"""Names and encodings that terminals do badly with: a command does its work, and prints no raw control character."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minimax_al.campaign import Campaign

HOSTILE = ["a\x1b[31mred.png", "line\nbreak.png", "photo\u202egnp.exe.png", "tab\t.png", "Zürich 東京.png"]


@pytest.fixture
def folder(tmp_path):
    noise = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for name in HOSTILE:
        Image.fromarray(noise.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(tmp_path / "images" / name)
    (tmp_path / "images" / "no\x1b]0;image\x07.png").write_text("broken")
    with Campaign.create(tmp_path / "campaign", tmp_path / "images", ["Kätzchen", "東京"], recipe="scratch"):
        pass
    return tmp_path


def mal(folder, encoding, *words):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "COLUMNS": "100"}
    command = [sys.executable, "-m", "minimax_al.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_no_encoding_ends_a_command_after_its_work(folder, encoding):
    for words in (["status", "campaign"], ["query", "campaign", "--budget", "5"], ["picks", "campaign"]):
        done = mal(folder, encoding, *words)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
        shown = done.stdout.decode(encoding)
        assert all(character.isprintable() or character == "\n" for character in shown)
    assert sorted(shown.splitlines()) == sorted(
        name.encode(encoding, "backslashreplace").decode(encoding)
        for name in [
            r"a\x1b[31mred.png",
            r"line\nbreak.png",
            r"photo\u202egnp.exe.png",
            r"tab\t.png",
            "Zürich 東京.png",
        ]
    )


def test_an_error_about_a_hostile_name_is_one_printable_line(folder):
    (folder / "labels.csv").write_text('path,label\n"no\x1b[2Jsuch\n.png",Kätzchen\n', encoding="utf-8")
    done = mal(folder, "ascii", "import", "campaign", "labels.csv")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"\x1b" not in done.stderr


def test_exact_names_are_in_the_exported_round(folder):
    with Campaign.open(folder / "campaign") as campaign:
        campaign.query(5)
        exported = campaign.export_picks(folder / "out")
    assert exported == (5, ())
    assert sorted(path.name for path in Path(folder / "out").glob("*.png")) == sorted(HOSTILE)


def test_an_error_that_lists_several_faults_has_lines(folder):
    (folder / "labels.csv").write_text("path,label\nno.png,Kätzchen\nnone.png,東京\n", encoding="utf-8")
    done = mal(folder, "utf-8", "import", "campaign", "labels.csv")
    assert done.returncode == 2
    first, *others = done.stderr.decode().splitlines()
    assert first == "mal: 2 labels of 'labels.csv' are wrong, and nothing was imported:"
    assert [line[:2] for line in others] == ["- ", "- "]
