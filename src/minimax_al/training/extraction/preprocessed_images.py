"""Images as a pretrained encoder expects them: squares of pixels, decoded ahead by threads."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from minimax_al.data.decoding.decode import read_image
from minimax_al.data.images.file_images import REMOTE_WORKERS, default_workers
from minimax_al.data.images.images import check_indices
from minimax_al.data.object_storage.urls import is_url
from minimax_al.networks import Preprocessing
from minimax_al.training.extraction.encoding import in_order


class PreprocessedImages:
    """Images read from files by an encoder's own preprocessing, up to its normalisation.

    Args:
        paths: Image files.
        names: Image names, in the same order.
        preprocessing: Preprocessing of the encoder.

    Attributes:
        names: Image names.
        size: Height and width of the squares, in pixels.
    """

    def __init__(self, paths: Sequence[Path | str], names: Sequence[str], preprocessing: Preprocessing) -> None:
        self.paths = [path if is_url(path) else Path(path) for path in paths]
        self.names = tuple(names)
        self.preprocessing = preprocessing
        self.size = (preprocessing.size, preprocessing.size)

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, indices: Tensor | Sequence[int]) -> "PreprocessedImages":
        """Return the images at `indices`, in that order; nothing is read."""
        chosen = check_indices(indices, len(self)).tolist()
        return PreprocessedImages([self.paths[i] for i in chosen], [self.names[i] for i in chosen], self.preprocessing)

    def to(self, device: torch.device | str) -> Self:  # noqa: ARG002 - batches move, files do not
        """Return these images: batches are sent to the device."""
        return self

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield one (B, 3, S, S) uint8 tensor for each (B,) int64 tensor of indices, in order.

        Raises:
            UnreadableImageError: A file cannot be decoded; names it.
        """
        is_remote = any(is_url(path) for path in self.paths[:1])
        workers = max(1, default_workers(), REMOTE_WORKERS if is_remote else 0)
        with ThreadPoolExecutor(workers) as pool:
            checked = [check_indices(batch, len(self)) for batch in batches]
            yield from in_order(pool, self._decode, checked, ahead=workers if is_remote else 4)

    def _decode(self, batch: Tensor) -> Tensor:
        side = self.preprocessing.decoded_side
        squares = [self.preprocessing.pixels(read_image(self.paths[i], side)) for i in batch.tolist()]
        if not squares:
            return torch.empty(0, 3, *self.size, dtype=torch.uint8)
        return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)
