"""Images as batches of pixels: the protocol, and images that are resident in memory.

Training code sees one protocol. A small set is resident on the device as uint8, and a batch is one indexing; a large
set (`file_images.py`) is decoded ahead of its use. Both return the same images in the requested order.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from minimax_al.data.images.indices import as_indices
from minimax_al.errors import DataError, ShapeError


class Images(Protocol):
    """Protocol of images for training and scoring."""

    @property
    def names(self) -> Sequence[str]:
        """Names for messages and pages, one per image: its path relative to the root, or "train/00012"."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Stored (height, width) in pixels."""
        ...

    def __len__(self) -> int: ...

    def subset(self, indices: Tensor | Sequence[int]) -> "Images":
        """Return the images at `indices`, in that order."""
        ...

    def to(self, device: torch.device | str) -> "Images":
        """Return the same images, resident on `device` if they are resident at all."""
        ...

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield one (B, 3, H, W) uint8 tensor for each (B,) int64 CPU tensor of indices, in order."""
        ...


class ResidentImages:
    """Images in one tensor; a batch is one indexing on the tensor's device.

    Args:
        pixels_NCHW: Pixels, shape (N, 3, H, W), uint8.
        names: Names, one per image; by default "00000", "00001", …

    Raises:
        ShapeError: The tensor is not (N, 3, H, W) uint8, or the names are not N.

    Example:
        >>> images = ResidentImages(torch.zeros(10, 3, 8, 8, dtype=torch.uint8))
        >>> [tuple(pixels.shape) for pixels in images.stream([torch.tensor([3, 1])])]
        [(2, 3, 8, 8)]
    """

    def __init__(self, pixels_NCHW: Tensor, names: Sequence[str] | None = None) -> None:
        check_pixels(pixels_NCHW)
        if names is not None and len(names) != len(pixels_NCHW):
            raise ShapeError(f"{len(names)} names for {len(pixels_NCHW)} images: give one name per image")
        self.pixels = pixels_NCHW
        self.names = tuple(f"{i:05d}" for i in range(len(pixels_NCHW))) if names is None else tuple(names)
        self.size = (int(pixels_NCHW.shape[2]), int(pixels_NCHW.shape[3]))

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, indices: Tensor | Sequence[int]) -> "ResidentImages":
        """Return a copy of the images at `indices`, in that order."""
        chosen = check_indices(indices, len(self))
        pixels = self.pixels[chosen.to(self.pixels.device)]
        return ResidentImages(pixels, [self.names[i] for i in chosen.tolist()])

    def to(self, device: torch.device | str) -> "ResidentImages":
        """Return the same images on `device`."""
        return ResidentImages(self.pixels.to(device), self.names)

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield (B, 3, H, W) uint8 on the images' device for each (B,) int64 tensor of indices."""
        for batch in batches:
            # On other devices than CUDA the copy must finish before the indices are freed.
            indices = check_indices(batch, len(self)).to(self.pixels.device, non_blocking=self.pixels.is_cuda)
            yield self.pixels[indices]


def check_pixels(pixels: Tensor) -> None:
    """Raise ShapeError unless `pixels` is (N, 3, H, W) uint8."""
    if pixels.ndim != 4 or pixels.shape[1] != 3 or pixels.dtype != torch.uint8:
        raise ShapeError(
            f"images must be (N, 3, H, W) uint8, not {tuple(pixels.shape)} {pixels.dtype}: "
            "put channels second, repeat grey three times and scale values to 0..255"
        )


def check_indices(indices: Tensor | Sequence[int], size: int) -> Tensor:
    """Return `indices` as a (B,) int64 tensor, all of them within 0..size-1.

    Args:
        indices: Indices, shape (B,), of any integer dtype.
        size: Number of images.

    Raises:
        ShapeError: The indices are not one row of integers.
        DataError: An index is outside; a negative one would count from the end in silence.
    """
    chosen = torch.from_numpy(as_indices(indices))
    if chosen.numel() == 0:
        return chosen
    low, high = (int(bound) for bound in chosen.aminmax())
    if low < 0 or high >= size:
        raise DataError(f"index {low if low < 0 else high} is outside of {size} images (0 to {size - 1})")
    return chosen
