"""Batches that are decoded ahead of their use, in worker processes or in threads.

Where processes are forked (Linux), workers are processes of a `DataLoader`. Where they are spawned (macOS, Windows,
notebooks with that setting) each would run the caller's script again, which fails without the guard
`if __name__ == "__main__"`; there, workers are threads, which decode at about the same speed, since Pillow releases the
interpreter. Threads are used too where the system cannot start workers.

Pixels travel through pipes, not through shared memory: containers often have a /dev/shm of 64 MB, and a worker that
writes beyond its end is killed without an error.
"""

import logging
import multiprocessing
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from minimax_al.errors import UnreadableImageError

Pixels = NDArray[np.uint8]
Decode = Callable[[NDArray[np.int64]], Pixels]
"""Function of a batch of indices, shape (B,), that returns pixels, shape (B, 3, H, W)."""

_AHEAD = 2
"""Batches that each worker decodes ahead."""

_log = logging.getLogger(__name__)


def stream_batches(
    decode: Decode, batches: Sequence[Tensor], workers: int, *, in_threads: bool = False
) -> Iterator[Tensor]:
    """Yield the pixels of each batch in order, pinned where CUDA is available.

    Args:
        decode: Function that decodes one batch; it must be picklable.
        batches: Indices of each batch, shape (B,), int64, on the CPU.
        workers: Number of processes or threads that decode ahead; 0 decodes in this thread.
        in_threads: Whether workers are threads everywhere, since they share connections.

    Raises:
        UnreadableImageError: A file cannot be decoded.
    """
    indices = [batch.numpy() for batch in batches]
    if workers == 0 or len(indices) < 2:
        for batch in indices:
            yield _tensor(decode(batch))
    elif _forks() and not in_threads:
        yield from _in_processes(decode, indices, workers)
    else:
        yield from _in_threads(decode, indices, workers)


def _forks() -> bool:
    """Return whether new processes are forked."""
    method = multiprocessing.get_start_method(allow_none=True)
    return (method or multiprocessing.get_all_start_methods()[0]) == "fork"


def _in_processes(decode: Decode, batches: Sequence[NDArray[np.int64]], workers: int) -> Iterator[Tensor]:
    with warnings.catch_warnings():
        # The number of workers is the caller's choice, and forked workers only decode.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        warnings.filterwarnings("ignore", message=".*use of fork", category=DeprecationWarning)
        try:
            decoded = _loader(decode, batches, workers)
        except OSError as error:  # without semaphores, or without room for one more process
            _log.warning("worker processes cannot be started (%s): images are decoded in threads", error)
            yield from _in_threads(decode, batches, workers)
            return
    try:
        for block in decoded:
            if isinstance(block, UnreadableImageError):
                raise block
            yield block if isinstance(block, Tensor) else _tensor(block.pixels)
    finally:
        # Ends the workers now: an error's traceback would keep them, and their end then takes seconds.
        del decoded


def _loader(decode: Decode, batches: Sequence[NDArray[np.int64]], workers: int) -> "Iterator[_Block | Tensor]":
    loader = DataLoader(
        _Batches(decode),
        sampler=cast("Sequence[int]", batches),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=_AHEAD,
        collate_fn=_unchanged,  # the default would make tensors, which travel through shared memory
        pin_memory=torch.cuda.is_available(),
        # Without a generator of its own a loader draws from torch's global one, and the number of workers would
        # change the caller's draws.
        generator=torch.Generator(),
    )
    return iter(loader)


def _in_threads(decode: Decode, batches: Sequence[NDArray[np.int64]], workers: int) -> Iterator[Tensor]:
    waiting: deque[Future[Tensor]] = deque()
    remaining = iter(batches)
    threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for batch in remaining:
            waiting.append(threads.submit(lambda indices: _tensor(decode(indices)), batch))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _tensor(pixels: Pixels) -> Tensor:
    tensor = torch.from_numpy(pixels)
    return tensor.pin_memory() if torch.cuda.is_available() else tensor


class _Block:
    """Pixels of a batch on their way through a pipe; the loader's pinning thread makes them a tensor."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels

    def pin_memory(self) -> Tensor:
        """Return the pixels as a pinned tensor."""
        return _tensor(self.pixels)


class _Batches(TorchDataset[object]):
    """Batches as a map-style data set; a file that fails is returned as its error.

    An error raised in a worker would reach the caller with the worker's traceback inside its message.
    """

    def __init__(self, decode: Decode) -> None:
        self.decode = decode

    def __getitem__(self, indices: object) -> object:
        try:
            return _Block(self.decode(cast("NDArray[np.int64]", indices)))
        except UnreadableImageError as error:
            return error


def _unchanged(block: object) -> object:
    return block
