"""The tables of the command line are read off the commands' help: nothing is lost on the way."""

import importlib.util
import inspect
from pathlib import Path

import pytest

from minimax_al.cli import COMMANDS, OWN_PARSER

HOOK = Path(__file__).parents[2] / "docs" / "hooks" / "command_help.py"


@pytest.fixture(scope="module")
def command_help():
    spec = importlib.util.spec_from_file_location("command_help", HOOK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command not in OWN_PARSER])
def test_every_argument_of_a_command_is_in_its_table(name, command_help):
    options = [option for group in command_help.read_help(name.split()) for option in group.options]
    assert all(option.meaning for option in options)
    flags = {option.flags.split()[0].strip(",") for option in options if option.flags.startswith("-")}
    parameters = inspect.signature(COMMANDS[name]).parameters.values()
    named = {f"--{one.name.replace('_', '-')}" for one in parameters if one.kind is not one.POSITIONAL_ONLY}
    assert flags == named
    assert len(options) == len(parameters)


def test_settings_stand_under_their_group(command_help):
    groups = {group.title: group for group in command_help.read_help(["bench", "run", "digits"])}
    minimax = groups["recipe.minimax options"]
    assert minimax.description == "Settings of Algorithm 1 on images."
    assert "--recipe.minimax.temperature FLOAT" in [option.flags for option in minimax.options]


def test_markers_become_tables(command_help):
    page = command_help.on_page_markdown("before\n\n<!-- help: mal describe -->\n\nafter")
    assert page.startswith("before\n\n| | |\n|:--|:--|\n")
    assert "| `--encoder ENCODER` | Network, a name from `mal names encoders`. (default: resnet18) |" in page
    assert page.endswith("\n\nafter")


@pytest.mark.parametrize("words", [["quary"], ["bench", "run", "nothing"]])
def test_help_that_fails_stops_the_build(words, command_help, capsys):
    with pytest.raises(RuntimeError, match=f"mal {' '.join(words)} --help ends with status 2"):
        command_help.read_help(words)
    assert words[-1] in capsys.readouterr().err
