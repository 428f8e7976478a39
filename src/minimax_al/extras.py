"""Optional packages of a room: one sentence names the extra that brings a missing one."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from minimax_al.errors import MissingDependencyError


@contextmanager
def extra_packages(extra: str, purpose: str, packages: Collection[str]) -> Iterator[None]:
    """Report a package of an extra that is missing when the block imports it; other import errors pass through.

    Args:
        extra: Extra of minimax-al that brings the packages.
        purpose: Part of the program that needs them, as the subject of the sentence.
        packages: Top-level packages of the extra.

    Raises:
        MissingDependencyError: One of the packages is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in packages:
            raise MissingDependencyError(missing, extra, purpose) from error
        raise
