"""Fingerprint of a data set: results of two data sets must never be pooled."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from minimax_al.data import Dataset, Features, FileImages, Samples
from minimax_al.data.object_storage.objects import read_start
from minimax_al.data.object_storage.urls import is_url

SAMPLE = 64
"""Number of images, spread evenly over a set, whose content is part of its fingerprint."""

_HEAD_BYTES = 1 << 16


def fingerprint_of(dataset: Dataset) -> dict[str, str]:
    """Return the parts of a data set that decide its numbers, each as a short text.

    Two data sets with equal names but another order of classes, other targets, sizes or images differ in at least
    one part. Images are compared by a sample; files by their bytes, so that a newer decoder changes nothing.

    Args:
        dataset: Data set as its source loads it.

    Returns:
        Texts by part: `classes`, `training images`, `test images`, `image size`, `training targets`, `test targets`,
        `content of training images`, `content of test images`.
    """
    return {
        "classes": _digest([name.encode() for name in dataset.class_names]),
        "training images": f"{len(dataset.train)}",
        "test images": f"{len(dataset.test)}",
        "image size": "×".join(map(str, _size(dataset.train))),
        "training targets": _digest(_bytes(dataset.train_targets)),
        "test targets": _digest(_bytes(dataset.test_targets)),
        "content of training images": _digest(_sampled(dataset.train)),
        "content of test images": _digest(_sampled(dataset.test)),
    }


def differing_parts(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return the parts of two fingerprints that differ; numbers with both values.

    Example:
        >>> differing_parts({"classes": "ab", "training images": "50"}, {"classes": "ab", "training images": "60"})
        ['training images (50 there, 60 now)']
    """
    return [
        f"{part} ({before[part]} there, {now[part]} now)" if now[part].isdigit() else part
        for part in now
        if before.get(part, now[part]) != now[part]
    ]


def _size(samples: Samples) -> tuple[int, ...]:
    return samples.shape[1:] if isinstance(samples, Features) else samples.size


def _bytes(targets: torch.Tensor) -> Iterator[bytes]:
    """Yield the targets block by block: masks of a large set do not fit into memory twice."""
    for block in targets.split(4096):
        yield block.cpu().contiguous().numpy().tobytes()


def _sampled(samples: Samples) -> Iterator[bytes]:
    """Yield the content of evenly spread samples: the head of each file, or the numbers themselves."""
    count = len(samples)
    indices = torch.linspace(0, max(count - 1, 0), min(SAMPLE, count)).long()
    if isinstance(samples, FileImages):
        yield from (_head(samples.paths[index]) for index in indices.tolist())
    elif count:
        for batch in samples.stream([indices]):
            yield batch.cpu().contiguous().numpy().tobytes()


def _head(path: str) -> bytes:
    """Return the first bytes of a file or of an object."""
    if is_url(path):
        return read_start(path, _HEAD_BYTES)
    with Path(path).open("rb") as file:
        return file.read(_HEAD_BYTES)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
