"""Results of slow functions that a transaction needs, computed while no transaction is open.

A write transaction holds the lock of all writers, so it must not decode masks. It looks results up by everything that
they depend on; where some are missing, it is rolled back, they are computed, and it runs again. If the state has
changed meanwhile, it needs results for other arguments, which are computed in the same way.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


class NotComputedError(Exception):
    """Results that a transaction lacks; `retried` catches it.

    Args:
        compute: Function that computes them.
    """

    def __init__(self, compute: Callable[[], None]) -> None:
        super().__init__("results are missing: run the transaction through `retried`")
        self.compute = compute


class Precomputed(Generic[K, V]):
    """Results of a pure function by its arguments.

    Args:
        function: Slow function of one hashable argument.
    """

    def __init__(self, function: Callable[[K], V]) -> None:
        self._function = function
        self._known: dict[K, V] = {}

    def of(self, keys: Sequence[K]) -> list[V]:
        """Return the results for some arguments.

        Raises:
            NotComputedError: Some of them are not known.
        """
        missing = [key for key in dict.fromkeys(keys) if key not in self._known]
        if missing:
            raise NotComputedError(lambda: self._compute(missing))
        return [self._known[key] for key in keys]

    def _compute(self, keys: Sequence[K]) -> None:
        for key in keys:
            self._known[key] = self._function(key)


def retried(transaction: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401 - those of the transaction
    """Run a transaction until no result is missing; missing ones are computed after it was rolled back.

    Args:
        transaction: Function that opens a write transaction and closes it.
        *arguments: Arguments of the transaction.

    Example:
        >>> squares = Precomputed(lambda number: number**2)
        >>> retried(lambda: squares.of([2, 3]))
        [4, 9]
    """
    while True:
        try:
            return transaction(*arguments)
        except NotComputedError as missing:
            compute = missing.compute
        compute()
