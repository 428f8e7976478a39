"""Every command that a page shows is one that the program takes."""

import functools
import re
import shlex
from pathlib import Path

import pytest
import yaml

import minimax_al.cli
from minimax_al.benchmark import load_sweep
from minimax_al.benchmark.options import parse_run, parse_sweep
from minimax_al.benchmark.protocol import list_presets, load_protocol
from minimax_al.benchmark.sweep import is_sweep
from minimax_al.cli import COMMANDS, main

PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|…")


@pytest.fixture(autouse=True)
def only_parsed(monkeypatch):
    """Commands whose words are read, and which then do nothing."""

    def idle(command):
        @functools.wraps(command)
        def nothing(*args, **kwargs):
            pass

        return nothing

    commands = {name: idle(command) for name, command in COMMANDS.items()}

    def bench_run(words):
        """Parse the words of a run or a sweep."""
        if words and is_sweep(words[0]):
            load_sweep(words[0], **parse_sweep(words[0], words[1:]).changes)
        else:
            parse_run(words)

    commands["bench run"] = bench_run
    monkeypatch.setattr(minimax_al.cli, "COMMANDS", commands)
    monkeypatch.setattr(minimax_al.cli, "OWN_PARSER", {bench_run})


def is_taken(words):
    try:
        return main(words) == 0
    except SystemExit as stop:
        return stop.code == 0


def shown(page):
    """The words after `mal` of every line of a shell block and every `mal …` in the prose."""
    for block in page.blocks("sh", "console"):
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["mal"]:
                yield words[1:]
            elif "minimax_al.cli" in words:
                yield words[words.index("minimax_al.cli") + 1 :]
    for command in re.findall(r"`mal ([^`]+)`", page.prose):
        if not PLACEHOLDER.search(command):
            yield shlex.split(command)


def test_commands_are_accepted_by_the_parser(page, workplace, capsys):
    protocols = [block.text for block in page.blocks("yaml") if "dataset:" in block.text]
    if protocols:
        (workplace / "my.yaml").write_text(protocols[0])
    for block in page.blocks("yaml"):
        if block.text.startswith("# sweep.yaml"):
            (workplace / "sweep.yaml").write_text(block.text)
    for words in shown(page):
        # A command's bare name in the prose stands for the command.
        if " ".join(words) not in COMMANDS:
            assert is_taken(words), f"{page}: mal {shlex.join(words)}: {capsys.readouterr().err}"


@pytest.mark.parametrize(
    "words", [["quary", "campaign"], ["query", "campaign", "--budgte", "1"], ["query", "campaign"]]
)
def test_unknown_commands_are_detected(words, capsys):
    assert not is_taken(words)


def test_protocols_are_protocols(page, tmp_path):
    for block in page.blocks("yaml"):
        if "dataset:" in block.text:
            (tmp_path / "my.yaml").write_text(block.text)
            assert load_protocol(str(tmp_path / "my.yaml")).points == yaml.safe_load(block.text)["points"]


def test_make_targets_exist(page):
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    lines = [line.split() for block in page.blocks("sh") for line in block.text.splitlines()]
    for words in lines:
        if words[:1] == ["make"]:
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), words[1]


def test_every_command_has_its_section_and_its_help(pages):
    page = pages["docs/reference/command_line.md"]
    for name in COMMANDS:
        section = re.search(rf"^### mal {name}$(.*?)(?=^##|\Z)", page.text, re.MULTILINE | re.DOTALL)
        assert section, name
        assert re.search(rf"^<!-- help: mal {name}", section[1], re.MULTILINE), name
        assert re.search(rf"^mal {name}", section[1], re.MULTILINE), name


def test_every_preset_is_told_of(pages):
    page = pages["docs/guides/compare_strategies.md"]
    rows = dict(re.findall(r"^\| `([\w-]+)` \|.*?\| ([^|]+ \| +\d+ \| +\d+) \|$", page.text, re.MULTILINE))
    assert sorted(rows) == list_presets()
    for name, row in rows.items():
        labels, points, seeds = (cell.strip() for cell in row.split("|"))
        protocol = load_protocol(name)
        start, step = (int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", labels)[:2])
        assert (start, step, int(points), int(seeds)) == (
            protocol.start,
            protocol.step,
            protocol.points,
            protocol.seeds,
        )
