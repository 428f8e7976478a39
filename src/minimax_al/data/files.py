"""Lists of image files to a data set: resident when small, streamed when large, the unusable set aside."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from minimax_al.data.dataset import Dataset, image_statistics
from minimax_al.data.decode import Verification, read_square
from minimax_al.data.decode_memory import MAX_PIXELS
from minimax_al.data.file_images import FileImages
from minimax_al.data.images import Images, ResidentImages
from minimax_al.data.scan import Progress, SetAside, sift, sort_out, why_not
from minimax_al.errors import DataError, UnreadableImageError

RESIDENT_BYTES = 1 << 29
"""Up to this size (half a GiB) a part of a data set is kept in memory when nothing else is asked for."""


class FileOptions(BaseModel):
    """How the files of a data set are read; options of every source that reads image files.

    Attributes:
        stored_size: side of the square that every image becomes, in pixels.
        resident: keep decoded images in memory; None does so up to half a GiB.
        verify: how streamed files are checked beforehand ("decode", "header", "none"); resident ones are
            all decoded.
        workers: decoding processes for streamed images; None chooses by the number of cores.
        max_pixels: larger images are set aside before they are decoded.
        progress: called now and then with (files done, all files).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stored_size: Annotated[int, Field(ge=1)] = 256
    resident: bool | None = None
    verify: Verification | None = None
    workers: Annotated[int, Field(ge=0)] | None = None
    max_pixels: Annotated[int, Field(ge=1)] = MAX_PIXELS
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
        """Appends one file."""
        self.paths.append(path)
        self.names.append(name)
        self.targets.append(target)

    def take(self, positions: Sequence[int]) -> "FileList":
        """The files at `positions`, in that order."""
        return FileList(
            [self.paths[i] for i in positions],
            [self.names[i] for i in positions],
            [self.targets[i] for i in positions],
        )


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
    """A classification data set of image files.

    Args:
        name: what curves and tables call it.
        class_names: in the order of the targets' numbers.
        train: files to choose from.
        test: files to measure on.
        options: how to read them.
        verify: how streamed files are checked where the options do not say.
        set_aside: what the source itself could not use.

    Raises:
        DataError: no training image can be used.
    """
    check = options.verify or verify
    train_images, train_targets, train_aside = _read(train, options, check)
    test_images, test_targets, test_aside = _read(test, options, check)
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


def _read(files: FileList, options: FileOptions, verify: Verification) -> tuple[Images, torch.Tensor, list[SetAside]]:
    small = len(files) * 3 * options.stored_size**2 <= RESIDENT_BYTES
    images: Images
    if options.resident or (options.resident is None and small):
        images, usable, set_aside = _decode_all(files, options)
    else:
        usable, set_aside = sort_out(files.paths, files.names, verify, options.max_pixels, options.progress)
        kept = files.take(usable)
        images = FileImages(kept.paths, kept.names, options.stored_size, options.workers, options.max_pixels)
    return images, torch.tensor(files.targets, dtype=torch.int64)[usable], set_aside


def _decode_all(files: FileList, options: FileOptions) -> tuple[ResidentImages, list[int], list[SetAside]]:
    """Decodes and checks in one go; threads write into one block of memory."""
    size = options.stored_size
    pixels_NCHW = np.empty((len(files), 3, size, size), dtype=np.uint8)

    def decode(position: int) -> str | None:
        path, name = files.paths[position], files.names[position]
        reason = why_not(path, name)
        if reason is not None:
            return reason
        try:
            pixels_NCHW[position] = read_square(path, size, options.max_pixels).transpose(2, 0, 1)
        except UnreadableImageError as error:
            return error.reason
        return None

    usable, set_aside = sift(decode, files.names, options.progress)
    pixels = torch.from_numpy(pixels_NCHW)
    kept = pixels if len(usable) == len(files) else pixels[usable]
    return ResidentImages(kept, [files.names[i] for i in usable]), usable, set_aside
