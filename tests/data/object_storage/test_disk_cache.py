import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from minimax_al.data.object_storage import disk_cache
from minimax_al.data.object_storage.disk_cache import DiskCache
from minimax_al.errors import ConfigurationError


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_another_version_is_not_returned(tmp_path):
    cache = DiskCache(tmp_path, 1 << 20)
    cache.put("s3://b/a", 1, b"first")
    assert cache.get("s3://b/a", 1) == b"first"
    assert cache.get("s3://b/a", 2) is None
    assert cache.get("s3://b/other", 1) is None


def test_the_folder_stays_within_its_limit_and_keeps_what_was_used_last(tmp_path):
    cache = DiskCache(tmp_path, 20_000)
    for number in range(100):
        cache.put(f"s3://b/{number}", 0, bytes(1000))
        os.utime(cache._path(f"s3://b/{number}"), (number, number))
        if number >= 1:
            assert cache.get("s3://b/0", 0) is not None  # used all the time
            os.utime(cache._path("s3://b/0"), (number + 1, number + 1))
        assert size_of(tmp_path) <= 20_000
    assert cache.get("s3://b/99", 0) is not None
    assert cache.get("s3://b/1", 0) is None


def test_a_damaged_file_is_not_returned(tmp_path):
    cache = DiskCache(tmp_path, 1 << 20)
    cache.put("s3://b/a", 1, b"content")
    path = cache._path("s3://b/a")
    for damaged in (path.read_bytes()[:-1], path.read_bytes()[:-1] + b"x", b""):
        path.write_bytes(damaged)
        assert cache.get("s3://b/a", 1) is None


def test_a_limit_of_zero_keeps_nothing(tmp_path):
    cache = DiskCache(tmp_path / "cache", 0)
    cache.put("s3://b/a", 1, b"content")
    assert cache.get("s3://b/a", 1) is None
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("size", "limit"), [("", 10 << 30), ("0", 0), ("5000", 5000)])
def test_the_size_comes_from_the_environment(monkeypatch, size, limit):
    monkeypatch.setenv("MINIMAX_AL_CACHE_BYTES", size)
    assert disk_cache.cache_from_environment().limit == limit


@pytest.mark.parametrize("size", ["10GB", "-1", "1e9"])
def test_a_size_that_is_not_a_number_of_bytes_is_refused(monkeypatch, size):
    monkeypatch.setenv("MINIMAX_AL_CACHE_BYTES", size)
    with pytest.raises(ConfigurationError, match=f"MINIMAX_AL_CACHE_BYTES='{size}' is not a number of bytes"):
        disk_cache.cache_from_environment()


def test_a_full_disk_keeps_nothing_and_is_reported_once(tmp_path, monkeypatch, caplog):
    cache = DiskCache(tmp_path, 1 << 20)

    def full(handle, mode):
        os.close(handle)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(disk_cache.os, "fdopen", full)
        for number in range(3):
            cache.put(f"s3://b/{number}", 1, b"content")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    (said,) = caplog.messages
    assert "keeps nothing (No space left on device): objects are read again each time; make room" in said
    cache.put("s3://b/0", 1, b"content")
    assert cache.get("s3://b/0", 1) == b"content"


CHILD = """
import sys
from pathlib import Path
from minimax_al.data.object_storage.disk_cache import DiskCache
cache = DiskCache(Path(sys.argv[1]), 100_000)
for number in range(300):
    cache.put(f"s3://b/{number % 50}", 0, bytes([number % 50]) * 2000)
    found = cache.get(f"s3://b/{(number * 7) % 50}", 0)
    assert found is None or found == bytes([(number * 7) % 50]) * 2000
"""


def test_processes_and_threads_share_a_folder(tmp_path):
    with ThreadPoolExecutor(3) as threads:
        done = threads.map(lambda _: subprocess.call([sys.executable, "-c", CHILD, tmp_path]), range(3))
        assert list(done) == [0, 0, 0]
    assert size_of(tmp_path) <= 106_000
    assert not list(tmp_path.rglob(".*"))


def test_names_of_files_do_not_have_the_url(tmp_path):
    DiskCache(tmp_path, 1 << 20).put("s3://private-bucket/patient-7.png", 1, b"content")
    assert not [path for path in tmp_path.rglob("*") if "private" in str(path) or "patient" in str(path)]
