"""Locks between processes: exclusive, in order of arrival, and free again when their holder dies."""

import functools
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import types
from contextlib import suppress

import pytest

from minimax_al import locks
from minimax_al.errors import CampaignError, ResultsError
from minimax_al.locks import FairLock, file_lock

CHILD = """
import sys, pathlib
from minimax_al import locks
from minimax_al.locks import FairLock
locks._STALLED_SECONDS = 60  # a busy machine looks like a suspended process
path, log, name, times = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
lock = FairLock(path)
for _ in range(times):
    with lock.held(60):
        if name == "holder":
            print("held", flush=True)
            sys.stdin.read()
        text = log.read_text() if log.exists() else ""
        log.write_text(text + name + "\\n")  # a lost update where two hold the lock
"""


HOLDER = """
import sys, pathlib
from minimax_al.errors import ResultsError
from minimax_al.locks import file_lock
with file_lock(pathlib.Path(sys.argv[1]), error=ResultsError) as ours:
    print(ours, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path):
    """Starts processes that take the lock and note their name; ends them after the test."""
    started = []

    def start(name, times=1):
        words = [sys.executable, "-c", CHILD, str(tmp_path / "lock"), str(tmp_path / "log"), name, str(times)]
        started.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(condition):
    """Waits for a condition; fails after a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def tickets(tmp_path):
    queue = tmp_path / "lock.queue"
    return sorted(file.name for file in queue.iterdir()) if queue.exists() else []


def waits(tmp_path):
    """Whether a waiter has locked its ticket: the next one takes an unlocked ticket for that of a dead process."""
    for name in tickets(tmp_path):
        with suppress(FileNotFoundError), (tmp_path / "lock.queue" / name).open("r+") as ticket:
            if not locks.try_lock(ticket.fileno()):
                return True
    return False


def noted(tmp_path):
    return (tmp_path / "log").read_text().split() if (tmp_path / "log").exists() else []


def test_processes_are_served_in_order_of_arrival(tmp_path, start):
    names = [f"process-{number}" for number in range(5)]
    with FairLock(tmp_path / "lock").held(60):
        processes = []
        for count, name in enumerate(names, start=1):
            processes.append(start(name))
            until(lambda count=count: len(tickets(tmp_path)) == count)
    assert [process.wait(60) for process in processes] == [0] * 5
    assert noted(tmp_path) == names
    assert tickets(tmp_path) == []


def test_only_a_waiter_that_leaves_a_free_lock_alone_is_passed(tmp_path, monkeypatch):
    seconds, observer = 0.0, locks._FirstWaiter()
    monkeypatch.setattr(locks, "time", types.SimpleNamespace(monotonic=lambda: seconds))
    ours, other = (os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        passed = []
        for step in ("held", "held", "held", "free", "held", "free", "free"):  # three seconds each
            assert locks.try_lock(other)
            if step == "free":
                locks._unlock(other)
            passed.append(observer.is_stalled("ticket", ours))
            locks._unlock(other)
            seconds += 3
        assert passed == [False] * 6 + [True]
        assert not observer.is_stalled("another ticket", ours)
    finally:
        os.close(ours)
        os.close(other)


def test_a_ticket_that_is_found_before_it_is_locked_is_created_again(tmp_path, monkeypatch):
    queue, lock_ticket, stolen = tmp_path / "lock.queue", locks.try_lock, []

    def try_lock(handle):  # another waiter looks between the creation and the lock of the first ticket
        if not stolen:
            stolen.append(tickets(tmp_path)[0])
            monkeypatch.setattr(locks, "try_lock", lock_ticket)
            assert locks._earlier(queue, "later") == []
        return lock_ticket(handle)

    monkeypatch.setattr(locks, "try_lock", try_lock)
    with locks._ticket(queue) as name:
        assert tickets(tmp_path) == [name] != stolen
        assert locks._earlier(queue, "later") == [name]
    assert tickets(tmp_path) == []


def test_a_holder_that_never_pauses_does_not_starve_others(tmp_path, start, monkeypatch):
    monkeypatch.setattr(locks, "_STALLED_SECONDS", 60)
    process, lock, turns = start("other", times=20), FairLock(tmp_path / "lock"), []
    for _ in range(10):
        with lock.held(60):
            turns.append(len(noted(tmp_path)))
            until(lambda: waits(tmp_path))
    assert all(later > earlier for earlier, later in itertools.pairwise(turns))
    assert process.wait(60) == 0


def test_processes_exclude_one_another(tmp_path, start):
    processes = [start(f"process-{number}", times=30) for number in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert sorted(noted(tmp_path)) == sorted([f"process-{number}" for number in range(4)] * 30)


def test_threads_and_locks_of_one_process_exclude_one_another(tmp_path):
    # As two open campaigns in one process.
    pair, count = [FairLock(tmp_path / "lock"), FairLock(tmp_path / "lock")], [0]

    def work(number):
        for _ in range(30):
            with pair[number % 2].held(60):
                before = count[0]
                os.sched_yield()
                count[0] = before + 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == [180]


@pytest.mark.parametrize("of_file", [True, False])
def test_threads_are_served_in_order_of_arrival(tmp_path, of_file):
    lock, order = FairLock(tmp_path / "lock" if of_file else None), []

    def work(number):
        with lock.held(60):
            order.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    with lock.held(60):
        for count, thread in enumerate(threads, start=1):
            thread.start()
            until(lambda count=count: len(lock._threads._waiting) == count)
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_a_killed_holder_and_a_killed_waiter_block_nobody(tmp_path, start):
    holder = start("holder")
    assert holder.stdout.readline() == "held\n"
    waiters = []
    for count in range(1, 4):
        waiters.append(start(f"waiter-{count}"))
        until(lambda count=count: len(tickets(tmp_path)) == count)
    waiters[0].kill()
    waiters[0].wait(60)
    holder.kill()
    assert [waiter.wait(60) for waiter in waiters[1:]] == [0, 0]
    assert noted(tmp_path) == ["waiter-2", "waiter-3"]
    assert tickets(tmp_path) == []


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs Unix signals")
def test_a_suspended_waiter_blocks_nobody_for_long(tmp_path, start, monkeypatch):
    monkeypatch.setattr(locks, "_STALLED_SECONDS", 0.05)
    lock = FairLock(tmp_path / "lock")
    with lock.held(60):
        waiter = start("suspended")
        until(lambda: len(tickets(tmp_path)) == 1)
        waiter.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, waiter.pid, os.WSTOPPED)
    with lock.held(60):
        assert not (tmp_path / "log").exists()
    waiter.send_signal(signal.SIGCONT)
    assert waiter.wait(60) == 0
    assert noted(tmp_path) == ["suspended"]


def test_a_wait_that_is_too_long_is_an_error_and_leaves_the_queue(tmp_path, start):
    holder = start("holder")
    assert holder.stdout.readline() == "held\n"
    lock = FairLock(tmp_path / "lock")
    with pytest.raises(TimeoutError, match="not free in time"), lock.held(0.01):
        pass
    assert tickets(tmp_path) == []
    holder.kill()
    with lock.held(60):
        pass


def test_a_thread_that_waits_too_long_leaves_the_queue(tmp_path):
    lock, errors = FairLock(None), []

    def work():
        try:
            with lock.held(0.01):
                pass
        except TimeoutError as error:
            errors.append(error)

    with lock.held(60):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(errors) == 1
    with lock.held(0):
        pass


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs Unix signals")
def test_an_interrupted_wait_leaves_the_queue(request):
    request.addfinalizer(functools.partial(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT)))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # another test's server may have left its own
    lock, held, end = FairLock(None), threading.Event(), threading.Event()
    main = threading.get_ident()

    def hold():
        with lock.held(60):
            held.set()
            until(lambda: len(lock._threads._waiting) == 1)
            signal.pthread_kill(main, signal.SIGINT)
            end.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    with pytest.raises(KeyboardInterrupt), lock.held(60):
        pass
    end.set()
    holder.join()
    with lock.held(0):
        pass


def test_without_a_queue_the_lock_still_excludes(tmp_path, start):
    (tmp_path / "lock.queue").write_text("no folder")
    processes = [start(f"process-{number}", times=10) for number in range(3)]
    assert [process.wait(60) for process in processes] == [0] * 3
    assert len(noted(tmp_path)) == 30


def test_a_file_that_cannot_be_opened_is_an_error_and_keeps_no_thread(tmp_path):
    lock = FairLock(tmp_path / "nowhere" / "lock")
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="nowhere"), lock.held(60):
            pass


def test_without_fcntl_files_are_locked_as_on_windows(tmp_path, monkeypatch, start):
    fcntl = pytest.importorskip("fcntl")
    windows = types.SimpleNamespace(LK_NBLCK=2, LK_UNLCK=0)

    def locking(handle, mode, count):
        assert count == 1
        assert os.lseek(handle, 0, os.SEEK_CUR) == 0
        fcntl.flock(handle, fcntl.LOCK_UN if mode == windows.LK_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB)

    windows.locking = locking
    spec = importlib.util.spec_from_file_location("locks_of_windows", locks.__file__)
    module = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "fcntl", None)
        patched.setitem(sys.modules, "msvcrt", windows)
        spec.loader.exec_module(module)
    lock = module.FairLock(tmp_path / "lock")
    with lock.held(60):
        process = start("other")
        until(lambda: len(tickets(tmp_path)) == 1)
        with pytest.raises(TimeoutError, match="not free in time"), module.FairLock(tmp_path / "lock").held(0):
            pass
    assert process.wait(60) == 0
    with lock.held(60):
        assert noted(tmp_path) == ["other"]


def test_a_file_lock_is_refused_until_its_process_dies(tmp_path):
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "True\n"
        with file_lock(tmp_path / "lock", error=ResultsError) as ours:
            assert not ours
        other.kill()
    with file_lock(tmp_path / "lock", wait_seconds=60, error=ResultsError) as ours:
        assert ours


@pytest.mark.parametrize("error", [ResultsError, CampaignError])
def test_a_file_that_cannot_be_locked_is_the_callers_error(tmp_path, error):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "lock", tmp_path / "folder"):
        with (
            pytest.raises(error, match=r"(lock|folder)' cannot be written .*disk has room"),
            file_lock(path, error=error),
        ):
            pass
