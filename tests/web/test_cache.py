from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from minimax_al.web.cache import CHEAP_SECONDS, REUSE, SharedCache


class Source:
    """Something that takes a while to read, by a clock that only it moves."""

    def __init__(self, seconds):
        self.seconds, self.now, self.readings = seconds, 0.0, 0

    def read(self):
        self.now += self.seconds
        self.readings += 1
        return self.readings

    def shared(self):
        return SharedCache(self.read, lambda: self.now)


def test_cheap_readings_are_not_cached():
    shared = Source(CHEAP_SECONDS / 2).shared()
    assert [shared.get(None) for _ in range(3)] == [1, 2, 3]


def test_expensive_readings_are_cached_in_proportion_to_their_cost():
    source = Source(2.0)
    shared = source.shared()
    assert shared.get(None) == 1
    source.now += 2.0 * REUSE - 0.1
    assert shared.get(None) == 1
    source.now += 0.2
    assert shared.get(None) == 2


def test_a_new_key_and_invalidation_make_it_stale():
    shared = Source(2.0).shared()
    assert [shared.get("a"), shared.get("a"), shared.get("b"), shared.get("a")] == [1, 1, 2, 3]
    shared.forget()
    assert shared.get("a") == 4


def test_a_failed_reading_is_not_kept():
    outcomes = iter([ValueError("broken"), 7])

    def read():
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    shared = SharedCache(read)
    with pytest.raises(ValueError, match="broken"):
        shared.get(None)
    assert shared.get(None) == 7


def test_concurrent_callers_share_one_reading():
    source, crowd = Source(2.0), 8
    shared, together = source.shared(), Barrier(crowd)

    def ask(_):
        together.wait(timeout=30)
        return shared.get(None)

    with ThreadPoolExecutor(crowd) as threads:
        assert list(threads.map(ask, range(crowd))) == [1] * crowd
