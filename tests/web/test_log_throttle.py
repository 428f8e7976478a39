import logging

import pytest

from minimax_al.web.log_throttle import Throttle, throttle


class Now:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Now()


@pytest.fixture
def log(clock):
    """A logger with a throttle, and the messages that pass."""
    logger, passed = logging.Logger("server"), []  # noqa: LOG001 - of this test alone
    handler = logging.Handler()
    handler.emit = lambda record: passed.append(record.getMessage())
    logger.addHandler(handler)
    logger.addFilter(Throttle(burst=3, period=60, clock=clock))
    return logger, passed


def fail(log, error, place):
    try:
        exec(compile(f"{chr(10) * place}raise {error.__name__}('no')", "app.py", "exec"))
    except error:
        log.exception("Exception in ASGI application")


def test_repeated_records_are_limited_per_period_and_counted(log, clock):
    logger, passed = log
    for number in range(1000):
        logger.warning("refused %d", number)
    assert passed == ["refused 0", "refused 1", "refused 2"]
    clock.seconds = 60
    logger.warning("refused %d", 1000)
    assert passed[3:] == ["refused 1000 (and 997 times more before)"]
    clock.seconds = 200
    logger.warning("refused %d", 1001)
    assert passed[4:] == ["refused 1001"]


def test_other_messages_levels_and_places_pass(log):
    logger, passed = log
    for _ in range(10):
        logger.warning("one")
        logger.error("one")
        logger.warning("two")
        fail(logger, ValueError, 1)
        fail(logger, ValueError, 2)
        fail(logger, KeyError, 2)
    assert len(passed) == 3 * 6


def test_messages_without_number_keep_no_memory(log):
    logger, passed = log
    for number in range(5000):
        logger.warning(f"refused {number}")  # noqa: G004 - each is a kind of its own
    assert len(passed) == 5000
    assert len(logger.filters[0]._seen) <= 1000


def test_a_logger_is_throttled_once():
    for _ in range(3):
        throttle("minimax_al.tests.throttled")
    assert len(logging.getLogger("minimax_al.tests.throttled").filters) == 1
