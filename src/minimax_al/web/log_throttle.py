"""Filter of log records that keeps a repeated message from filling the disk."""

import logging
import time
from collections.abc import Callable, Hashable
from threading import Lock

BURST = 5
"""Records of one kind that pass in a period."""

PERIOD_SECONDS = 60.0

_MOST_KINDS = 1000


class Throttle(logging.Filter):
    """Let a few records of one kind pass per period; the next one that passes reports how many were dropped.

    Records are of one kind if they come from one logger and have the same message, before its arguments are filled in,
    and the same place of an exception.

    Args:
        burst: Number of records of one kind that pass in a period.
        period: Length of a period in seconds.
        clock: Function that returns a time in seconds that never decreases.
    """

    def __init__(
        self, burst: int = BURST, period: float = PERIOD_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._burst = burst
        self._period = period
        self._clock = clock
        self._lock = Lock()
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record passes."""
        kind, now = _kind(record), self._clock()
        with self._lock:
            start, count = self._seen.get(kind, (now, 0))
            dropped = 0
            if now - start >= self._period:
                dropped, start, count = max(0, count - self._burst), now, 0
            if len(self._seen) >= _MOST_KINDS:
                self._seen.clear()
            self._seen[kind] = start, count + 1
        if dropped:
            record.msg, record.args = f"{record.getMessage()} (and {dropped:,} times more before)", None
        return count < self._burst


def throttle(*names: str) -> None:
    """Throttle the records of these loggers, once."""
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(one, Throttle) for one in logger.filters):
            logger.addFilter(Throttle())


def _kind(record: logging.LogRecord) -> Hashable:
    place: Hashable = None
    if record.exc_info and record.exc_info[2] is not None:
        trace = record.exc_info[2]
        while trace.tb_next is not None:
            trace = trace.tb_next
        place = record.exc_info[0], trace.tb_frame.f_code.co_filename, trace.tb_lineno
    message = str(record.msg).partition("\n")[0]
    return record.name, record.levelno, message, place
