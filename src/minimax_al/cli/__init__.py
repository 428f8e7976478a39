"""The command `mal`: parses words, calls one function, prints. Functions are imported when they are called."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from minimax_al.cli import benchmark, campaign, classes, features, label_studio, labels, model, web
from minimax_al.cli.parsing import call
from minimax_al.cli.printing import show
from minimax_al.cli.streams import prepare_logging, prepare_streams
from minimax_al.errors import ConfigurationError, MinimaxALError, UnknownNameError
from minimax_al.escaping import escape

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": benchmark.demo,
    "new": campaign.new,
    "query": campaign.query,
    "picks": campaign.picks,
    "label": web.label,
    "import": labels.import_labels,
    "withdraw": labels.withdraw,
    "label-studio push": label_studio.push,
    "label-studio pull": label_studio.pull,
    "label-studio recall": label_studio.recall,
    "label-studio serve": label_studio.serve,
    "close": campaign.close,
    "configure": campaign.configure,
    "move-images": campaign.move_images,
    "train": model.train,
    "compare": model.compare,
    "review": model.review,
    "status": campaign.status,
    "report": campaign.report,
    "export": labels.export,
    "classes": classes.classes,
    "predict": model.predict,
    "evaluate": model.evaluate,
    "package": model.package,
    "embed": features.embed,
    "bench run": benchmark.bench_run,
    "bench report": benchmark.bench_report,
    "bench compare": benchmark.bench_compare,
    "bench predictions": benchmark.bench_predictions,
    "bench package": benchmark.bench_package,
    "describe": benchmark.describe,
    "names": benchmark.names,
}
"""Commands and the functions that they call."""

OWN_PARSER = {benchmark.bench_run}
"""Commands that parse their words themselves; all others take them from their function's arguments."""

LINE_BREAK = "\n"
"""Kept in errors that list several faults; names in them are escaped where they are quoted."""

CLOSED_PIPE = 141
"""Exit status of a program whose reader has gone, by convention: 128 and the number of SIGPIPE."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        Exit status: 0; 2 for an error that the user can correct, printed as one sentence; 130 after an interruption;
        141 if the reader of the output has ended, as in `| head`.
    """
    prepare_streams()
    prepare_logging()
    try:
        try:
            return _run(list(sys.argv[1:] if words is None else words))
        finally:
            sys.stdout.flush()  # a closed pipe shows here, not when the interpreter ends
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for output that is not flushed yet
        return CLOSED_PIPE


def _run(words: list[str]) -> int:
    try:
        _check_folder()
        return _dispatch(words)
    except MinimaxALError as error:
        print(f"mal: {escape(str(error), keep=LINE_BREAK)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f": {error.filename!r}" if error.filename else ""
        print(f"mal: {error.strerror or error}{where}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mal: interrupted; finished work is kept", file=sys.stderr)
        return 130


def _check_folder() -> None:
    """Refuse to work in a folder that was removed: relative paths lead nowhere, and libraries end the process."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise ConfigurationError("the current folder does not exist any more: change to another one") from error


def _dispatch(words: list[str]) -> int:
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            _call(name, words[length:])
            return 0
    given = [word for word in words if not word.startswith("-")]
    if "--version" in words:
        _show_version()
    elif given and given not in (["bench"], ["label-studio"]):
        raise UnknownNameError("command", " ".join(given[:2]), COMMANDS)
    elif words and words[0].startswith("-") and words[0] not in {"-h", "--help"}:
        raise ConfigurationError(f"{words[0]!r} is not an option: write mal COMMAND [OPTIONS], or mal --help")
    else:
        _show_commands(" ".join(given))
    return 0 if words else 2


def _call(name: str, rest: list[str]) -> None:
    command = COMMANDS[name]
    if command in OWN_PARSER:
        command(rest)
        return
    call(command, rest, prog=f"mal {name}")


def _show_commands(group: str) -> None:
    width = max(map(len, COMMANDS))
    print("usage: mal COMMAND [OPTIONS]      mal COMMAND --help\n")
    for name, command in COMMANDS.items():
        if name.startswith(group):
            summary = (command.__doc__ or "").splitlines()[0]
            print(f"  {name:<{width}}  {summary}")


def _show_version() -> None:
    from minimax_al import __version__

    show(f"minimax-al {__version__}")
