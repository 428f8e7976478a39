"""Data sets of image files: resident when small, streamed when large, unusable files set aside."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from minimax_al.data.datasets.dataset import Dataset, image_statistics
from minimax_al.data.decoding.decode import Fit, Verification, read_square
from minimax_al.data.decoding.decode_memory import MAX_PIXELS
from minimax_al.data.decoding.file_properties import common_white, usual_side
from minimax_al.data.images.file_images import FileImages
from minimax_al.data.images.images import Images, ResidentImages
from minimax_al.data.locations.location import Location, join
from minimax_al.data.locations.scan import SetAside, sift, sort_out, why_not
from minimax_al.errors import DataError, UnreadableImageError
from minimax_al.vocabulary import Progress

RESIDENT_BYTES = 1 << 29
"""Size (half a GiB) up to which a part of a data set is kept in memory by default."""

STORED_SIZE = 256
"""Default side of the square that an image becomes, in pixels; smaller images keep their own size."""


class FileOptions(BaseModel):
    """Options of every source that reads image files.

    Attributes:
        stored_size: Side of the square that every image becomes, in pixels; None is 256, or the largest short side of
            the training images where that is smaller.
        resident: Whether decoded images are kept in memory; None keeps up to half a GiB.
        verify: Check of streamed files before training ("decode", "header", "none"); resident files are all decoded.
        workers: Number of decoding workers for streamed images; None chooses by the number of cores.
        max_pixels: Largest number of pixels; larger images are set aside before they are decoded.
        white: Value of white in files of more than 8 bits; None is the largest value of the smallest usual depth (8,
            10, 12, 14 or 16 bits) that holds all of the data set's files.
        progress: Callback of the files checked so far.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stored_size: Annotated[int, Field(ge=1)] | None = None
    resident: bool | None = None
    verify: Verification | None = None
    workers: Annotated[int, Field(ge=0)] | None = None
    max_pixels: Annotated[int, Field(ge=1)] = MAX_PIXELS
    white: Annotated[float, Field(gt=0)] | None = None
    progress: Progress | None = None


@dataclass
class FileList:
    """Files of one part of a data set, with their names and class numbers (-1 where unknown)."""

    paths: list[Path | str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    def add(self, path: Path | str, name: str, target: int) -> None:
        """Append one file."""
        self.paths.append(path)
        self.names.append(name)
        self.targets.append(target)

    def take(self, positions: Sequence[int]) -> "FileList":
        """Return the files at `positions`, in that order."""
        return FileList(
            [self.paths[i] for i in positions],
            [self.names[i] for i in positions],
            [self.targets[i] for i in positions],
        )


def load_images(
    images: Location, paths: Sequence[str], size: int, fit: Fit = "centre", *, exact: bool = False
) -> Images:
    """Load images by their names in a location: into memory up to half a GiB, else when they are needed.

    Args:
        images: Location of images.
        paths: Names of the images in it.
        size: Side of the squares that they become, in pixels.
        fit: Whether a square is an image's middle, or all of it, stretched.
        exact: Whether large JPEGs are decoded at full size, as for every image that a model is measured on or predicts.
    """
    files = FileImages([join(images, path) for path in paths], paths, size, fit=fit, exact=exact)
    return files.resident() if 0 < len(paths) * 3 * size**2 <= RESIDENT_BYTES else files


def dataset_from_files(
    name: str,
    class_names: Sequence[str],
    train: FileList,
    test: FileList,
    options: FileOptions,
    *,
    verify: Verification = "decode",
    set_aside: Sequence[SetAside] = (),
) -> Dataset:
    """Return a classification data set of image files.

    Args:
        name: Name in curves and tables.
        class_names: Class names in the order of the targets' numbers.
        train: Training files.
        test: Test files.
        options: Options for reading the files.
        verify: Check of streamed files where the options have none.
        set_aside: Files that the source itself could not use.

    Raises:
        DataError: No training image can be used.
    """
    reading = _reading(train, test, options, options.verify or verify)
    train_images, train_targets, train_aside = _read(train, reading, options)
    test_images, test_targets, test_aside = _read(test, reading, options)
    unused = (*set_aside, *train_aside, *test_aside)
    if not len(train_images):
        raise DataError(f"{name}: none of {len(train)} training files is a usable image{_first(unused)}")
    mean, std = image_statistics(train_images)
    return Dataset(
        name=name,
        task="classification",
        class_names=tuple(class_names),
        train=train_images,
        train_targets=train_targets,
        test=test_images,
        test_targets=test_targets,
        mean=mean,
        std=std,
        set_aside=unused,
    )


def _first(set_aside: Sequence[SetAside]) -> str:
    return f" ({set_aside[0].path!r}: {set_aside[0].reason})" if set_aside else ""


class _Reading(NamedTuple):
    """Settings that hold for all files of a data set."""

    size: int
    white: float | None
    verify: Verification


def _reading(train: FileList, test: FileList, options: FileOptions, verify: Verification) -> _Reading:
    most = options.max_pixels
    size = options.stored_size or usual_side(train.paths, STORED_SIZE, most)
    white = options.white or common_white([*train.paths, *test.paths], most)
    return _Reading(size, white, verify)


def _read(files: FileList, reading: _Reading, options: FileOptions) -> tuple[Images, torch.Tensor, list[SetAside]]:
    small = len(files) * 3 * reading.size**2 <= RESIDENT_BYTES
    images: Images
    if options.resident or (options.resident is None and small):
        images, usable, set_aside = _decode_all(files, reading, options)
    else:
        usable, set_aside = sort_out(files.paths, files.names, reading.verify, options.max_pixels, options.progress)
        kept = files.take(usable)
        images = FileImages(
            kept.paths, kept.names, reading.size, options.workers, options.max_pixels, white=reading.white
        )
    return images, torch.tensor(files.targets, dtype=torch.int64)[usable], set_aside


def _decode_all(
    files: FileList, reading: _Reading, options: FileOptions
) -> tuple[ResidentImages, list[int], list[SetAside]]:
    """Decode and check all files; threads write into one block of memory."""
    size = reading.size
    pixels_NCHW = np.empty((len(files), 3, size, size), dtype=np.uint8)

    def decode(position: int) -> str | None:
        path, name = files.paths[position], files.names[position]
        reason = why_not(path, name)
        if reason is not None:
            return reason
        try:
            pixels = read_square(path, size, options.max_pixels, white=reading.white)
        except UnreadableImageError as error:
            return error.reason
        pixels_NCHW[position] = pixels.transpose(2, 0, 1)
        return None

    usable, set_aside = sift(decode, files.names, options.progress)
    pixels = torch.from_numpy(pixels_NCHW)
    kept = pixels if len(usable) == len(files) else pixels[usable]
    return ResidentImages(kept, [files.names[i] for i in usable]), usable, set_aside
