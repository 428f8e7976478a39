"""The command `mal`: reads words, calls one function, prints. What it calls is imported when it is called."""

import logging
import os
import sys
from collections.abc import Callable, Sequence

from minimax_al.cli import benchmark, campaign, label_studio, web
from minimax_al.cli.printing import show
from minimax_al.errors import MinimaxALError, UnknownNameError

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": benchmark.demo,
    "new": campaign.new,
    "query": campaign.query,
    "label": web.label,
    "import": campaign.import_labels,
    "label-studio push": label_studio.push,
    "label-studio pull": label_studio.pull,
    "label-studio recall": label_studio.recall,
    "label-studio serve": label_studio.serve,
    "close": campaign.close,
    "train": campaign.train,
    "status": campaign.status,
    "report": campaign.report,
    "export": campaign.export,
    "predict": campaign.predict,
    "package": campaign.package,
    "bench run": benchmark.bench_run,
    "bench report": benchmark.bench_report,
    "describe": benchmark.describe,
    "names": benchmark.names,
}
"""Every command's words and what they call."""

OWN_PARSER = {benchmark.bench_run}
"""Commands that read their words themselves; the flags of all others are their function's arguments."""

CLOSED_PIPE = 141
"""Exit status of a program whose reader has gone, by custom: 128 and the number of SIGPIPE."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 2 for what the user can mend, said in one sentence; 130 after an interruption; 141 where
        nobody reads what is printed any more, as after `| head`.
    """
    logging.basicConfig(level=logging.WARNING, format="mal: %(message)s")
    try:
        try:
            return _run(list(sys.argv[1:] if words is None else words))
        finally:
            sys.stdout.flush()  # a closed pipe shows here, not when the interpreter ends
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
        return CLOSED_PIPE


def _run(words: list[str]) -> int:
    try:
        return _dispatch(words)
    except MinimaxALError as error:
        print(f"mal: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f": {error.filename!r}" if error.filename else ""
        print(f"mal: {error.strerror or error}{where}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mal: interrupted; what was finished is kept", file=sys.stderr)
        return 130


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
    else:
        _show_commands(" ".join(given))
    return 0 if words else 2


def _call(name: str, rest: list[str]) -> None:
    command = COMMANDS[name]
    if command in OWN_PARSER:
        command(rest)
        return
    import tyro

    tyro.cli(command, args=rest, prog=f"mal {name}")


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
