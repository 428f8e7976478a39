"""Tables of the command line, made from the commands' own help while the site is built."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from minimax_al.cli import main

_MARKER = re.compile(r"^<!-- help: (mal .+?) -->$", re.MULTILINE)
_TITLE = re.compile(r"^╭─ (.+?) ─+╮$")
PLAIN_GROUPS = {"positional arguments", "options"}
_IN_BOX = re.compile(r"^│ (.*) │$")


class Option(NamedTuple):
    """One flag or positional argument."""

    flags: str
    meaning: str


class Group(NamedTuple):
    """Options under one title."""

    title: str
    description: str
    options: list[Option]


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace every `<!-- help: mal … -->` by the options of that command."""
    return _MARKER.sub(lambda found: "\n\n".join(_tables(read_help(found[1].split()[1:]))), markdown)


def read_help(words: list[str]) -> list[Group]:
    """Return the options that `mal WORDS --help` lists.

    Args:
        words: Words of the command line after `mal`.

    Raises:
        RuntimeError: The command does not exist, or its help fails.
    """
    # A terminal's encoding draws the boxes that are read here; wider than this, groups would stand side by side.
    text = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with patch.dict(os.environ, {"COLUMNS": "100", "NO_COLOR": "1"}), redirect_stdout(text):
        status = _exit_status([*words, "--help"])
    if status:
        raise RuntimeError(f"mal {' '.join(words)} --help ends with status {status}: its table would be empty")
    text.seek(0)
    return list(_groups(text.read().splitlines()))


def _exit_status(words: list[str]) -> int | str | None:
    try:
        return main(words)
    except SystemExit as stop:
        return stop.code


def _groups(lines: list[str]) -> Iterator[Group]:
    title, inside = "", list[str]()
    for line in lines:
        if found := _TITLE.match(line):
            title, inside = found[1], []
        elif found := _IN_BOX.match(line):
            inside.append(found[1].rstrip())
        elif line.startswith("╰"):
            yield _group(title, inside)


def _group(title: str, lines: list[str]) -> Group:
    rule = next((place for place, line in enumerate(lines) if set(line.strip()) == {"─"}), -1)
    options: list[Option] = []
    for line in lines[rule + 1 :]:
        first, *rest = re.split(r"\s{2,}", line.strip(), maxsplit=1)
        if not line.startswith(" "):
            options.append(Option(first, *rest, *([] if rest else [""])))
        else:
            options[-1] = options[-1]._replace(meaning=f"{options[-1].meaning} {line.strip()}".strip())
    options = [option for option in options if not option.flags.startswith("-h")]
    return Group(title, " ".join(line.strip() for line in lines[: max(rule, 0)]), options)


def _tables(groups: list[Group]) -> Iterator[str]:
    """Yield one table of the plain options, then one per further group, under its title."""
    plain = [option for group in groups if group.title in PLAIN_GROUPS for option in group.options]
    if plain:
        yield _table(plain)
    for group in groups:
        if group.title not in PLAIN_GROUPS and group.options:
            yield f"**{group.title.removesuffix(' options')}** · {group.description}"
            yield _table(group.options)


def _table(options: list[Option]) -> str:
    rows = [f"| `{_plain(option.flags)}` | {option.meaning.replace(' (default: None)', '')} |" for option in options]
    return "\n".join(["| | |", "|:--|:--|", *rows])


def _plain(flags: str) -> str:
    """Return the flags without the notation of optional values."""
    short = flags.replace("{None}|", "").replace("[STR [STR ...]]", "STR …").replace("[INT [INT ...]]", "INT …")
    positive, _, negative = short.partition(", ")
    return positive if "-no-" in negative or ".no-" in negative else short
