"""Images as batches of pixels: resident in memory (on the device) or streamed from files.

Training code sees one protocol. A small set sits on the device as uint8 and a batch is one indexing; a
large set is decoded by worker processes ahead of its use. Both give the same images in the order asked
for.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from minimax_al.data.decode import Fit, read_square
from minimax_al.data.decode_memory import MAX_PIXELS
from minimax_al.errors import ConfigurationError, DataError, ShapeError, UnreadableImageError

MAX_WORKERS = 16


class Images(Protocol):
    """What training and scoring need of images."""

    @property
    def names(self) -> Sequence[str]:
        """One name an image, for messages and pages: its path relative to the root, or "train/00012"."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Stored (height, width) in pixels."""
        ...

    def __len__(self) -> int: ...

    def subset(self, indices: Tensor | Sequence[int]) -> "Images":
        """The images at `indices`, in that order."""
        ...

    def to(self, device: torch.device | str) -> "Images":
        """The same images, resident on `device` if they are resident at all."""
        ...

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields one (B, 3, H, W) uint8 tensor for each (B,) int64 CPU tensor of indices, in order."""
        ...


class ResidentImages:
    """Images held as one tensor; a batch is one indexing on the device where the tensor lies.

    Args:
        pixels_NCHW: (N, 3, H, W) uint8.
        names: one an image; by default "00000", "00001", …

    Raises:
        ShapeError: the tensor is not (N, 3, H, W) uint8, or the names are not N.

    Example:
        >>> images = ResidentImages(torch.zeros(10, 3, 8, 8, dtype=torch.uint8))
        >>> [tuple(pixels.shape) for pixels in images.stream([torch.tensor([3, 1])])]
        [(2, 3, 8, 8)]
    """

    def __init__(self, pixels_NCHW: Tensor, names: Sequence[str] | None = None) -> None:
        check_pixels(pixels_NCHW)
        if names is not None and len(names) != len(pixels_NCHW):
            raise ShapeError(f"{len(names)} names for {len(pixels_NCHW)} images: give one name an image")
        self.pixels = pixels_NCHW
        self.names = tuple(f"{i:05d}" for i in range(len(pixels_NCHW))) if names is None else tuple(names)
        self.size = (int(pixels_NCHW.shape[2]), int(pixels_NCHW.shape[3]))

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, indices: Tensor | Sequence[int]) -> "ResidentImages":
        """A copy of the images at `indices`, in that order."""
        chosen = check_indices(indices, len(self))
        pixels = self.pixels[chosen.to(self.pixels.device)]
        return ResidentImages(pixels, [self.names[i] for i in chosen.tolist()])

    def to(self, device: torch.device | str) -> "ResidentImages":
        """The same images on `device`."""
        return ResidentImages(self.pixels.to(device), self.names)

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields (B, 3, H, W) uint8 on the images' device for each (B,) int64 tensor of indices."""
        for batch in batches:
            # Other devices than CUDA may read the indices after they are gone, unless the copy is waited for.
            indices = check_indices(batch, len(self)).to(self.pixels.device, non_blocking=self.pixels.is_cuda)
            yield self.pixels[indices]


class FileImages:
    """Images decoded from files when they are asked for, each as a square of `stored_size` pixels.

    Images are resized (bilinear, antialiased): the short side, of which the centre is kept, or both sides. Worker
    processes decode whole batches ahead of their use; the result does not depend on their number.

    Args:
        paths: one file an image.
        names: one name an image, for messages and pages.
        stored_size: side of the square, in pixels.
        workers: decoding processes; 0 decodes in this process, None chooses by `default_workers`.
        max_pixels: files with more pixels are refused before they are decoded.
        fit: "centre" keeps the centre square of each image, "stretch" all of it.
        exact: Whether large JPEGs are decoded at full size, as other programs do; see `read_square`.

    Raises:
        ConfigurationError: a size or a number of workers that cannot be.
        ShapeError: not as many names as paths.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        names: Sequence[str],
        stored_size: int,
        workers: int | None = None,
        max_pixels: int = MAX_PIXELS,
        *,
        fit: Fit = "centre",
        exact: bool = False,
    ) -> None:
        if stored_size < 1:
            raise ConfigurationError(f"stored_size={stored_size!r} must be at least 1 pixel")
        if workers is not None and workers < 0:
            raise ConfigurationError(f"workers={workers!r} must be 0 (this process) or more")
        if len(paths) != len(names):
            raise ShapeError(f"{len(names)} names for {len(paths)} files: give one name an image")
        self.paths = tuple(os.fspath(path) for path in paths)
        self.names = tuple(names)
        self.stored_size = stored_size
        self.size = (stored_size, stored_size)
        self.workers = default_workers() if workers is None else workers
        self.max_pixels = max_pixels
        self.fit = fit
        self.exact = exact

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, indices: Tensor | Sequence[int]) -> "FileImages":
        """The images at `indices`, in that order; nothing is read."""
        chosen = check_indices(indices, len(self)).tolist()
        return FileImages(
            [self.paths[i] for i in chosen],
            [self.names[i] for i in chosen],
            self.stored_size,
            self.workers,
            self.max_pixels,
            fit=self.fit,
            exact=self.exact,
        )

    def to(self, device: torch.device | str) -> Self:  # noqa: ARG002 - the protocol's; files lie on no device
        """These images: files lie on no device."""
        return self

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields (B, 3, S, S) uint8 on the CPU, pinned where CUDA is there, for each (B,) int64 indices.

        Raises:
            UnreadableImageError: a file cannot be decoded (any more); names it.
        """
        checked = [check_indices(batch, len(self)) for batch in batches]
        workers = self.workers if len(checked) > 1 else 0
        paths = self._packed_paths if workers else self.paths
        decoder = _BatchDecoder(paths, self.stored_size, self.max_pixels, self.fit, exact=self.exact)
        with warnings.catch_warnings():
            # The number of workers is the caller's choice, and forked workers only decode.
            warnings.filterwarnings("ignore", message="This DataLoader will create")
            warnings.filterwarnings("ignore", message=".*use of fork", category=DeprecationWarning)
            loader = DataLoader(
                decoder,
                sampler=cast("Sequence[int]", _Batches(checked)),
                batch_size=None,
                num_workers=workers,
                prefetch_factor=2 if workers else None,
                pin_memory=torch.cuda.is_available(),
                # Without a generator of its own a loader draws from torch's global one, and the number of
                # workers would show.
                generator=torch.Generator(),
            )
            decoded_batches = iter(loader)
        try:
            for decoded in decoded_batches:
                if isinstance(decoded, UnreadableImageError):
                    raise decoded
                yield decoded
        finally:
            # Ends the workers now: an error's traceback would keep them, and their end then waits for seconds.
            del decoded_batches

    @cached_property
    def _packed_paths(self) -> "_PackedPaths":
        return _PackedPaths(self.paths)

    def resident(self, batch_size: int = 64, progress: Callable[[int, int], None] | None = None) -> ResidentImages:
        """All images decoded into memory.

        Args:
            batch_size: images decoded at once by one worker.
            progress: called with (images decoded, all images) after each batch.
        """
        pixels = torch.empty(len(self), 3, *self.size, dtype=torch.uint8)
        done = 0
        for decoded in self.stream(torch.split(torch.arange(len(self)), batch_size)):
            pixels[done : done + len(decoded)] = decoded
            done += len(decoded)
            if progress is not None:
                progress(done, len(self))
        return ResidentImages(pixels, self.names)


def default_workers() -> int:
    """Decoding processes for this one: the cores less one for training, shared among this machine's ranks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(max(cores // ranks - 1, 0), MAX_WORKERS)


def check_pixels(pixels: Tensor) -> None:
    """Raises ShapeError unless `pixels` is (N, 3, H, W) uint8."""
    if pixels.ndim != 4 or pixels.shape[1] != 3 or pixels.dtype != torch.uint8:
        raise ShapeError(
            f"images must be (N, 3, H, W) uint8, not {tuple(pixels.shape)} {pixels.dtype}: "
            "put channels second, repeat grey three times and scale values to 0..255"
        )


def check_indices(indices: Tensor | Sequence[int], size: int) -> Tensor:
    """`indices` as a (B,) int64 tensor, all of them within 0..size-1.

    Raises:
        ShapeError: not one row of whole numbers.
        DataError: an index is outside; a negative one would silently count from the end.
    """
    chosen = torch.as_tensor(indices)
    if chosen.numel() == 0:
        return chosen.reshape(-1).to(torch.int64)
    if chosen.ndim != 1 or chosen.dtype != torch.int64:
        raise ShapeError(f"indices must be (B,) int64, not {tuple(chosen.shape)} {chosen.dtype}")
    low, high = (int(bound) for bound in chosen.aminmax())
    if low < 0 or high >= size:
        raise DataError(f"index {low if low < 0 else high} is outside of {size} images (0 to {size - 1})")
    return chosen


class _BatchDecoder(TorchDataset[Tensor]):
    """Decodes one batch of files; a file that fails is returned as its error.

    An error raised in a worker would reach the caller with the worker's traceback inside its message.
    """

    def __init__(
        self, paths: "Sequence[str] | _PackedPaths", stored_size: int, max_pixels: int, fit: Fit, *, exact: bool
    ) -> None:
        self.paths = paths
        self.exact = exact
        self.stored_size = stored_size
        self.max_pixels = max_pixels
        self.fit = fit

    def __getitem__(self, batch: object) -> Tensor:
        indices = cast("NDArray[np.int64]", batch).tolist()
        pixels_NHWC = np.empty((len(indices), self.stored_size, self.stored_size, 3), dtype=np.uint8)
        try:
            for position, index in enumerate(indices):
                path, size = self.paths[index], self.stored_size
                pixels_NHWC[position] = read_square(path, size, self.max_pixels, self.fit, exact=self.exact)
        except UnreadableImageError as error:
            return cast("Tensor", error)
        return torch.from_numpy(np.ascontiguousarray(pixels_NHWC.transpose(0, 3, 1, 2)))


class _PackedPaths:
    """Many paths in one buffer.

    A million Python strings would be copied into every forked worker, page by page, as their reference
    counts move.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        encoded = [os.fsencode(path) for path in paths]
        self._joined = b"".join(encoded)
        self._ends = np.cumsum([0, *map(len, encoded)])

    def __getitem__(self, index: int) -> str:
        return os.fsdecode(self._joined[self._ends[index] : self._ends[index + 1]])


class _Batches:
    """Batches of indices as a sampler; NumPy arrays cross to a worker without shared memory."""

    def __init__(self, batches: Sequence[Tensor]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return (batch.numpy() for batch in self.batches)
