"""Batches that are decoded ahead: in forked processes, in threads, and where the system is short of means."""

import logging
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from minimax_al.data import FileImages
from minimax_al.data.images import streaming
from minimax_al.errors import UnreadableImageError

BATCHES = [
    torch.tensor([3, 1]),
    torch.tensor([0, 2, 9]),
    torch.tensor([5]),
    torch.tensor([4, 8, 7, 6]),
    torch.arange(10),
]
FORKS = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")


@pytest.fixture
def files(save_image):
    paths = [save_image(f"{i}.png", size=(20 + i, 16)) for i in range(10)]

    def make(workers):
        return FileImages(paths, [path.name for path in paths], 8, workers=workers)

    return make


@pytest.fixture(params=[pytest.param("fork", marks=FORKS), "spawn"])
def start_method(request, monkeypatch):
    """How the system starts processes."""
    monkeypatch.setattr(streaming.multiprocessing, "get_start_method", lambda allow_none: request.param)
    return request.param


def test_every_kind_of_worker_returns_the_same_batches(files, start_method):
    alone = list(files(0).stream(BATCHES))
    together = list(files(3).stream(BATCHES))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))
    together[0][0] = 0  # a batch is the caller's own


def test_a_file_that_fails_ends_the_stream_with_its_name(files, start_method, tmp_path):
    (tmp_path / "5.png").write_bytes(b"overwritten")
    stream = files(2).stream(BATCHES)
    assert len([next(stream), next(stream)]) == 2
    with pytest.raises(
        UnreadableImageError, match=r"^cannot read the image '.*5\.png': it is not an image[^\n]*$"
    ) as caught:
        next(stream)
    assert (caught.value.reason, str(caught.value.path)) == (
        "it is not an image in a known format",
        str(tmp_path / "5.png"),
    )


def test_a_stream_that_is_left_ends_its_threads(files, monkeypatch):
    monkeypatch.setattr(streaming, "_forks", lambda: False)
    stream = files(2).stream(BATCHES)
    next(stream)
    stream.close()
    assert [thread for thread in threading.enumerate() if thread.name.startswith("decode")] == []


def test_the_callers_random_numbers_do_not_depend_on_workers(files, start_method):
    drawn = []
    for workers in (0, 2):
        torch.manual_seed(0)
        list(files(workers).stream(BATCHES))
        drawn.append(torch.rand(3))
    assert torch.equal(*drawn)


@FORKS
def test_pixels_do_not_travel_through_shared_memory(files, monkeypatch):
    def refuse(*_):
        raise OSError("a tensor was put into shared memory")

    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", refuse)
    monkeypatch.setattr(torch.UntypedStorage, "_share_filename_cpu_", refuse)
    monkeypatch.setattr(torch.UntypedStorage, "share_memory_", refuse)
    monkeypatch.setattr(streaming, "_forks", lambda: True)
    assert [len(batch) for batch in files(2).stream(BATCHES)] == [len(batch) for batch in BATCHES]


def test_threads_take_over_where_no_process_can_be_started(files, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(streaming, "_forks", lambda: True)
    monkeypatch.setattr(streaming, "_loader", refuse)
    with caplog.at_level(logging.WARNING):
        found = list(files(2).stream(BATCHES))
    assert all(torch.equal(one, other) for one, other in zip(found, files(0).stream(BATCHES), strict=True))
    assert "worker processes cannot be started ([Errno 28] No space left on device)" in caplog.text


SCRIPT = """
import multiprocessing
multiprocessing.set_start_method("spawn", force=True)
import torch
from minimax_al.data import FileImages
paths = [f"{i}.png" for i in range(10)]
images = FileImages(paths, paths, 8, workers=2)
print(sum(len(batch) for batch in images.stream(torch.split(torch.arange(10), 3))))
"""


@pytest.mark.parametrize("from_file", [True, False])
def test_a_script_without_a_guard_works_where_processes_are_spawned(files, tmp_path, from_file):
    files(0)
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py" if from_file else "-"],
        input=None if from_file else SCRIPT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("10", 0), done.stderr


@FORKS
def test_a_small_shared_memory_is_enough(files, tmp_path):
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounts cannot be made here")
    files(0)
    (tmp_path / "script.py").write_text(SCRIPT.replace('"spawn"', '"fork"').replace("paths, 8,", "paths, 512,"))
    command = f"mount -t tmpfs -o size=64k tmpfs /dev/shm && exec {sys.executable} script.py"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    if "mount" in done.stderr:
        pytest.skip("mounts cannot be made here")
    assert (done.stdout.strip(), done.returncode) == ("10", 0), done.stderr


def test_arrays_from_pipes_are_writable():
    block = streaming._Block(np.zeros((1, 3, 2, 2), dtype=np.uint8))
    assert isinstance(block.pin_memory(), torch.Tensor)
