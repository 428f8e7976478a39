"""Images that are decoded from files when they are requested."""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.cores import available_cores
from minimax_al.data.decoding.decode import Fit, read_square
from minimax_al.data.decoding.decode_memory import MAX_PIXELS
from minimax_al.data.images.images import ResidentImages, check_indices
from minimax_al.data.images.streaming import Pixels, stream_batches
from minimax_al.data.object_storage.urls import is_url
from minimax_al.data.tables.packed_texts import PackedTexts
from minimax_al.errors import ConfigurationError, ShapeError
from minimax_al.vocabulary import Progress

MAX_WORKERS = 16

REMOTE_WORKERS = 16
"""Smallest number of workers, all threads, for objects of object storage."""


class FileImages:
    """Images decoded from files when they are requested, each as a square of `stored_size` pixels.

    Images are resized (bilinear, antialiased): the short side, of which the centre is kept, or both sides. Workers
    decode whole batches ahead of their use (`streaming.py`); the result does not depend on their number.

    Args:
        paths: Image files.
        names: Names for messages and pages, one per file.
        stored_size: Side of the square, in pixels.
        workers: Number of decoding workers; 0 decodes in this thread, None chooses by `default_workers`.
        max_pixels: Largest number of pixels; files with more are refused before they are decoded.
        fit: "centre" keeps the centre square of each image, "stretch" all of it.
        exact: Whether large JPEGs are decoded at full size, as other programs do; see `read_square`.
        white: Value of white in files of more than 8 bits; by default each file's own.

    Raises:
        ConfigurationError: `stored_size` or `workers` is invalid.
        ShapeError: The names are not the same number as the paths.
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
        white: float | None = None,
    ) -> None:
        if stored_size < 1:
            raise ConfigurationError(f"stored_size={stored_size!r} must be at least 1 pixel")
        if workers is not None and workers < 0:
            raise ConfigurationError(f"workers={workers!r} must be 0 (this process) or more")
        if len(paths) != len(names):
            raise ShapeError(f"{len(names)} names for {len(paths)} files: give one name per file")
        self.paths = tuple(os.fspath(path) for path in paths)
        self.names = tuple(names)
        self.stored_size = stored_size
        self.size = (stored_size, stored_size)
        self.workers = default_workers() if workers is None else workers
        self.max_pixels = max_pixels
        self.fit = fit
        self.exact = exact
        self.white = white

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, indices: Tensor | Sequence[int]) -> "FileImages":
        """Return the images at `indices`, in that order; nothing is read."""
        chosen = check_indices(indices, len(self)).tolist()
        return FileImages(
            [self.paths[i] for i in chosen],
            [self.names[i] for i in chosen],
            self.stored_size,
            self.workers,
            self.max_pixels,
            fit=self.fit,
            exact=self.exact,
            white=self.white,
        )

    def to(self, device: torch.device | str) -> Self:  # noqa: ARG002 - the protocol's; files are on no device
        """Return these images: files are on no device."""
        return self

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield (B, 3, S, S) uint8 on the CPU, pinned where CUDA is available, for each (B,) int64 indices.

        Raises:
            UnreadableImageError: A file cannot be decoded, or no longer; the sentence names it.
        """
        checked = [check_indices(batch, len(self)) for batch in batches]
        workers = self.workers if len(checked) > 1 else 0
        paths = self._packed_paths if workers else self.paths
        decode = _BatchDecoder(paths, self.stored_size, self.max_pixels, self.fit, exact=self.exact, white=self.white)
        is_remote = any(is_url(path) for path in self.paths[:1])
        if is_remote and workers:  # they wait for the network most of the time
            workers = max(workers, REMOTE_WORKERS)
        return stream_batches(decode, checked, workers, in_threads=is_remote)

    @cached_property
    def _packed_paths(self) -> PackedTexts:
        # A million strings would be copied into every forked worker, page by page, as their reference counts change.
        return PackedTexts(self.paths)

    def resident(self, batch_size: int = 64, progress: Progress | None = None) -> ResidentImages:
        """Return all images, decoded into memory.

        Args:
            batch_size: Number of images that one worker decodes at once.
            progress: Callback of the images decoded so far, after each batch.
        """
        pixels = torch.empty(len(self), 3, *self.size, dtype=torch.uint8)
        done = 0
        for decoded in self.stream(torch.split(torch.arange(len(self)), batch_size)):
            pixels[done : done + len(decoded)] = decoded
            done += len(decoded)
            if progress is not None:
                progress("decoding images", done, len(self), "images")
        return ResidentImages(pixels, self.names)


def default_workers() -> int:
    """Return the number of decoding workers: the cores less one for training, shared among this machine's ranks."""
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(max(available_cores() // ranks - 1, 0), MAX_WORKERS)


class _BatchDecoder:
    """Decoder of one batch of files."""

    def __init__(
        self,
        paths: Sequence[str],
        stored_size: int,
        max_pixels: int,
        fit: Fit,
        *,
        exact: bool,
        white: float | None,
    ) -> None:
        self.paths = paths
        self.stored_size = stored_size
        self.max_pixels = max_pixels
        self.fit = fit
        self.exact = exact
        self.white = white

    def __call__(self, indices: NDArray[np.int64]) -> Pixels:
        """Return the pixels of the files at `indices`, shape (B, 3, S, S)."""
        size = self.stored_size
        pixels_NHWC = np.empty((len(indices), size, size, 3), dtype=np.uint8)
        for position, index in enumerate(indices.tolist()):
            path = self.paths[index]
            pixels_NHWC[position] = read_square(path, size, self.max_pixels, self.fit, self.white, exact=self.exact)
        return np.ascontiguousarray(pixels_NHWC.transpose(0, 3, 1, 2))
