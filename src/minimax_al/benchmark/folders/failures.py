"""Failures of cells: recorded with their reason, so that the rest of a grid runs on."""

import json
import logging
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from minimax_al.durable import write_durably
from minimax_al.errors import MinimaxALError

FILE = "failure.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """Reason of a failed cell.

    Attributes:
        call: Identifier of the call in which it failed.
        reason: One sentence.
        traceback: Python traceback; empty for an error whose sentence is enough.
    """

    call: str
    reason: str
    traceback: str = ""


def failure_of(error: Exception, call: str) -> Failure:
    """Return an exception as a failure.

    Args:
        error: Exception of a strategy, a training or a file.
        call: Identifier of the call.
    """
    if isinstance(error, MinimaxALError):
        return Failure(call, str(error))
    return Failure(call, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def write_failure(folder: Path, failure: Failure) -> None:
    """Record a failure in the folder of its cell; a folder that cannot be written is logged."""
    try:
        write_durably(folder / FILE, json.dumps(asdict(failure), indent=1).encode())
    except OSError as error:
        logger.warning("the failure of %r cannot be recorded: %s", str(folder), error)


def read_failure(folder: Path) -> Failure | None:
    """Return the failure of a cell; None if its last run did not fail."""
    try:
        return Failure(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def clear_failure(folder: Path) -> None:
    """Remove the failure of a cell that has now succeeded."""
    (folder / FILE).unlink(missing_ok=True)
