"""Child processes of the server: started with an order on standard input, they report in lines of JSON.

A child ends with the server: the server terminates it as it stops, and a child exits when its standard input closes
because the server died.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any, TextIO

from minimax_al.campaign import Campaign
from minimax_al.errors import MinimaxALError

_log = logging.getLogger(__name__)


def start_child(command: Sequence[str], campaign: Campaign, order: Mapping[str, Any]) -> "subprocess.Popen[str]":
    """Start a child process on a campaign.

    Args:
        command: Command; receives the campaign's folder as its last word.
        campaign: Campaign, whose storage is added to the order.
        order: Order, as values that JSON can hold.
    """
    store = campaign.store
    storage = None if store.is_sqlite else store.url.render_as_string(hide_password=False)
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, str(campaign.folder.resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="backslashreplace",  # a library may print anything
        start_new_session=True,  # Ctrl+C in the server's terminal is the server's to handle
    )
    assert process.stdin is not None
    try:
        # Not in the arguments of the command, which every user of the machine can read.
        process.stdin.write(json.dumps({**order, "storage": storage}) + "\n")
        process.stdin.flush()
    except BrokenPipeError:  # it has ended already; its reader reports that
        _log.warning("a process of the server ended before it had its order")
    return process


def run_as_child(work: Callable[[Path, str | None, Mapping[str, Any], TextIO], str | None]) -> int:
    """Run work in this child process by the order on standard input, and report how it ends.

    Args:
        work: Function of the campaign folder, the URL of the database with its password (None for the one in the
            folder), the order, and the stream for reports; it returns the result as a sentence, None for none.

    Returns:
        0 on success, 1 if the work is not possible.
    """
    order = json.loads(sys.stdin.readline())
    storage = order.pop("storage")
    Thread(target=end_with_input, daemon=True).start()
    out = reserve_output()
    try:
        message = work(Path(sys.argv[1]), storage, order, out)
    except MinimaxALError as error:
        tell(out, state="failed", message=str(error))
        return 1
    except Exception as error:
        tell(out, state="failed", message=f"{type(error).__name__}: {error}; see the server's log")
        raise
    if message is not None:
        tell(out, state="done", message=message)
    return 0


def tell(out: TextIO, **told: Any) -> None:  # noqa: ANN401 - values that JSON can hold
    """Report to the server, in a line of JSON."""
    out.write(json.dumps(told) + "\n")
    out.flush()


def reserve_output() -> TextIO:
    """Reserve standard output for reports; redirect all other output, of C libraries too, to the log."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return out


def end_with_input() -> None:
    """Wait until standard input closes, and end the process at once."""
    while os.read(0, 1024):
        pass
    os._exit(1)  # nothing else ends a training from a thread in the middle of a step
