"""Every `mal … --help` as a snapshot; `MINIMAX_AL_SNAPSHOTS=write pytest tests/cli` writes them anew."""

import io
import os
import re
from contextlib import redirect_stdout, suppress
from inspect import signature
from pathlib import Path

import pytest

from minimax_al.cli import COMMANDS, OWN_PARSER, main
from minimax_al.cli.parsing import argument_texts, reworded

SNAPSHOTS = Path(__file__).parent / "help"
WORDS = {name: name.split() for name in COMMANDS} | {"": [], "bench run digits": ["bench", "run", "digits"]}
PARSED = sorted(name for name, command in COMMANDS.items() if command not in OWN_PARSER)


def text_of(shown):
    """Return the words in their order: how wide the boxes around them are is up to the version of tyro."""
    return [word for word in shown.split() if re.search(r"\w", word)]


def help_of(words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    text = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)  # boxes of plain characters
    with redirect_stdout(text), suppress(SystemExit):
        main([*words, "--help"])
    text.seek(0)
    return "\n".join(line.rstrip() for line in text.read().splitlines()).strip() + "\n"


@pytest.mark.parametrize("name", sorted(WORDS))
def test_help_reads_as_its_snapshot(name, monkeypatch):
    shown, file = help_of(WORDS[name], monkeypatch), SNAPSHOTS / f"mal {name}".strip().replace(" ", "-")
    file = file.with_suffix(".txt")
    if os.environ.get("MINIMAX_AL_SNAPSHOTS") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    snapshot = file.read_text(encoding="utf-8")
    assert text_of(shown) == text_of(snapshot), "read the new help, then write the snapshots anew"


def test_no_snapshot_is_of_a_command_that_is_gone():
    assert {file.stem for file in SNAPSHOTS.iterdir()} == {f"mal {name}".strip().replace(" ", "-") for name in WORDS}


@pytest.mark.parametrize("name", PARSED)
def test_every_argument_is_described_by_a_noun_phrase(name):
    command = COMMANDS[name]
    texts = argument_texts(command)
    assert list(texts) == list(signature(command).parameters)
    for text in texts.values():
        assert re.match(r"[A-Z]\w+\W", text), text
        assert text.endswith(".")


@pytest.mark.parametrize("name", PARSED)
def test_a_placeholder_names_what_is_given(name, monkeypatch):
    shown = help_of(WORDS[name], monkeypatch)
    assert not re.search(r"\b(PATH PATH|STR|INT|FLOAT|\{None\})\b|default: None|None\}", shown)
    positional = shown.partition("positional arguments")[2].partition("options\n")[0]
    assert "(required)" not in positional


@pytest.mark.parametrize("name", PARSED)
def test_a_summary_is_one_imperative_sentence(name):
    summary = COMMANDS[name].__doc__.splitlines()[0]
    assert summary.endswith(".")
    assert len(summary) <= 88


def test_a_wrapped_mark_of_a_coloured_help_leaves_no_empty_line():
    text = "positional arguments\n│ \x1b[91mOUT  Folder.   \x1b[0m│\n│ \x1b[91m(required)     \x1b[0m│\n"
    assert reworded(text + "options\n│ (required)     │\n") == (
        "positional arguments\n│ \x1b[91mOUT  Folder.   \x1b[0m│\noptions\n│ (required)     │\n"
    )


def test_help_of_a_benchmark_speaks_no_python(monkeypatch):
    shown = help_of(["bench", "run", "digits"], monkeypatch)
    assert "--data PATH" in shown
    assert not re.search(r"default: None|\{None\}", shown)
