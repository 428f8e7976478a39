"""Standard output and error that never fail on a character, whatever the terminal's encoding is."""

import logging
import os
import sys
from pathlib import Path

from minimax_al.escaping import escape


def prepare_streams() -> None:
    """Write characters that a stream's encoding lacks as escapes, instead of failing after the work is done.

    A stream that was closed before the start (`>&-`, some services) is None; text for it is dropped.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open until the end
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a stream of a notebook or a test may lack it
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def prepare_logging() -> None:
    """Log warnings to standard error, one line each, without control characters."""
    handler = logging.StreamHandler()
    handler.setFormatter(_EscapingFormatter("mal: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class _EscapingFormatter(logging.Formatter):
    """Formatter whose messages keep line breaks and tabs, and no other control character."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text, escaped."""
        return escape(super().format(record), keep="\n\t")
