"""Pillow's warnings and pixel limit, which are global, made safe between threads."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image


class _PillowWarnings:
    """Filter of Pillow's warnings that is active while any thread decodes.

    `warnings.catch_warnings` alone is not safe between threads: the last to leave would restore the filters of
    another. The first to enter sets the filter, and the last to leave restores it.
    """

    def __init__(self) -> None:
        self.start_afresh()

    def start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._filters: warnings.catch_warnings[None] | None = None

    def silence(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def restore(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._filters is not None:
                self._filters.__exit__(None, None, None)


_pillow_warnings = _PillowWarnings()
if hasattr(os, "register_at_fork"):
    # A worker that was forked while another thread held the lock would wait for it for ever.
    os.register_at_fork(after_in_child=_pillow_warnings.start_afresh)


@contextmanager
def quiet_pillow(max_pixels: int) -> Iterator[None]:
    """Silence Pillow's warnings, and raise its own pixel limit where `max_pixels` needs it.

    Args:
        max_pixels: Largest number of pixels that an image may have.
    """
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > 2 * Image.MAX_IMAGE_PIXELS:
        # Pillow refuses twice its own limit, which is global: a larger limit here has to raise it.
        Image.MAX_IMAGE_PIXELS = max_pixels
    _pillow_warnings.silence()
    try:
        yield
    finally:
        _pillow_warnings.restore()
