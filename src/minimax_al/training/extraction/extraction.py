"""Extraction: a pretrained encoder looks at every image once and stores its feature vector.

Images are processed in a fixed order, in whole batches of one shape, and stored shard by shard. A batch depends on the
images alone, never on the number of workers or ranks, so a run that was killed and started again writes the same bytes
as one that was not. Features of one image agree between batch sizes, thread counts and ranks within `TOLERANCE`.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.data.features.feature_store import FeatureStore, ListedImage
from minimax_al.data.features.feature_writer import FeatureWriter, open_writer
from minimax_al.data.features.hash_index import HASH_BYTES, HashIndex, joined_digests
from minimax_al.data.locations.location import list_images, locate
from minimax_al.data.locations.scan import SetAside, printable, why_not
from minimax_al.data.object_storage.urls import as_address, is_url, redacted
from minimax_al.errors import ConfigurationError, DataError
from minimax_al.networks import PretrainedEncoder
from minimax_al.training.extraction.encoding import (
    Encoded,
    Encoding,
    EncodingSettings,
    ImageSource,
    Signature,
)
from minimax_al.training.extraction.extraction_parts import (
    JobPart,
    Joined,
    PartFolder,
    check_parts,
    has_parts,
    join_parts,
)
from minimax_al.training.extraction.image_files import ImageFile, hash_file
from minimax_al.training.runtime.ranks import Ranks
from minimax_al.training.runtime.runtime import Runtime, RuntimeSettings
from minimax_al.vocabulary import Progress

TOLERANCE = 2e-3
"""Largest difference between features of one image, relative to its largest feature: float16 has 11 bits."""

_HASHED_AT_ONCE = 1024
_SHARDS = 64
_LEAST_ROWS, _MOST_ROWS = 1024, 32_768


class Parts(NamedTuple):
    """Which part of an extraction is computed, and which are joined first.

    Attributes:
        part: Part whose images are given; None for all.
        join: Folder or URL whose parts are joined; None for none.
    """

    part: JobPart | None = None
    join: Path | str | None = None


@dataclass(frozen=True)
class Extraction:
    """Result of an extraction.

    Attributes:
        store: Store of the features.
        images: Images with features, in the order of the files.
        set_aside: Files without features, with the reasons.
        computed: Number of images whose features were computed now.
        seconds: Duration.
        joined: Number of images whose features were joined from parts.
    """

    store: FeatureStore
    images: tuple[ListedImage, ...]
    set_aside: tuple[SetAside, ...]
    computed: int
    seconds: float
    joined: int = 0


def embed_folder(
    folder: Path | str,
    out: Path | str,
    encoder: PretrainedEncoder,
    settings: EncodingSettings | None = None,
    *,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
    part: JobPart | None = None,
    join: Path | str | None = None,
) -> Extraction:
    """Extract the features of all images of a folder and its subfolders, of a manifest, or below a URL.

    Args:
        folder: Folder of images, manifest file, or URL of object storage.
        out: Folder of the feature stores, see `minimax_al.data.features.feature_store`; for a part also a URL.
        encoder: Encoder with pretrained weights.
        settings: Batch size, workers, precision.
        runtime: Device and ranks; its precision is not used.
        progress: Callback for the number of finished images.
        part: Part of the images to process, into a folder of its own below `out`; None for all images.
        join: Folder or URL whose parts are joined first; default those below `out`.

    Raises:
        ConfigurationError: `out` is inside the folder of images, or `join` has no parts of these features.
        DataError: The folder does not exist or none of its files has features.
        FeatureStoreError: Another process writes to the store, or the store is damaged.
    """
    settings = settings or EncodingSettings()
    runtime = runtime or Runtime(RuntimeSettings(precision="fp32"))
    if join is not None:
        # Rank 0 alone joins: a folder on its machine need not exist on the others.
        check = partial(check_parts, join, _describe(encoder, settings))
        runtime.ranks.together(check if runtime.ranks.rank == 0 else lambda: None)
    root = locate(folder)
    names = [file.name for file in list_images(root)]
    target = as_address(out)
    if isinstance(target, str) and part is None:
        raise ConfigurationError(f"out={redacted(target)!r} is a URL: only parts (part=I/N) are written there")
    if isinstance(root, Path) and isinstance(target, Path) and Path(out).resolve().is_relative_to(root.resolve()):
        raise ConfigurationError(
            f"out={str(out)!r} is inside the folder of images {str(root)!r}: give a folder outside of it"
        )
    reasons = {name: why_not(root / name, name) for name in names}
    files = [ImageFile(root / name, name) for name in names if reasons[name] is None]
    aside = [SetAside(printable(name), reason) for name, reason in reasons.items() if reason is not None]
    if not files:
        first = f" ({aside[0].path!r}: {aside[0].reason})" if aside else ""
        raise DataError(f"{str(root)!r} does not hold images{first}: give a folder of images")
    if part is not None:
        files = files[part.slice_of(len(files))]
    source = join or (target if part is None and isinstance(target, Path) and has_parts(target) else None)
    parts = Parts(part, source)
    found = extract_features(files, target, encoder, settings, runtime=runtime, progress=progress, parts=parts)
    if not found.images and part is None:
        # The usual reason is more telling than that of the first file.
        usual = Counter(each.reason for each in found.set_aside).most_common(1)[0][0]
        example = next(each for each in found.set_aside if each.reason == usual)
        raise DataError(
            f"none of {len(files)} files in {str(root)!r} has features ({example.path!r}: {example.reason})"
        )
    return replace(found, set_aside=(*aside, *found.set_aside))


def extract_features(
    files: Sequence[ImageFile],
    out: Path | str,
    encoder: PretrainedEncoder,
    settings: EncodingSettings | None = None,
    *,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
    lock: AbstractContextManager[bool] | None = None,
    parts: Parts = Parts(),  # noqa: B008 - immutable
) -> Extraction:
    """Store the features of images; images that the store has already are not computed again.

    Args:
        files: Images, in the order in which new rows are stored.
        out: Folder of the feature stores.
        encoder: Encoder with pretrained weights.
        settings: Batch size, workers, precision.
        runtime: Device and ranks; its precision is not used.
        progress: Callback for the number of finished images.
        lock: Lock of the store instead of a lock file, see `open_writer`.
        parts: Part that is computed, and parts that are joined first.

    Raises:
        FeatureStoreError: Another process writes to the store, or the store is damaged.
    """
    began = time.monotonic()
    settings = settings or EncodingSettings()
    runtime = runtime or Runtime(RuntimeSettings(precision="fp32"))
    description = _describe(encoder, settings)
    ranks = runtime.ranks
    with ExitStack() as stack:

        def opened() -> FeatureWriter | None:
            return stack.enter_context(_opened_writer(out, description, lock, parts)) if ranks.rank == 0 else None

        # Rank 0 alone writes; `together` raises its error on every rank.
        writer = ranks.together(opened)
        joined = ranks.share(ranks.together(lambda: _joined(writer, parts)))[0]
        files = [file if file.sha256 else file._replace(sha256=joined.hashes.get(file.name)) for file in files]
        encoding = stack.enter_context(Encoding(encoder, settings, runtime.device))
        work = _Work(files, encoding, ranks, writer, progress)
        work.run()
        if writer is not None:
            writer.write_listing(work.images())
        # The other ranks read once rank 0 has written.
        folder = str(ranks.share(None if writer is None else str(writer.store.folder))[0])
        store = ranks.together(lambda: FeatureStore(folder))
        seconds = time.monotonic() - began
        return Extraction(store, work.images(), work.set_aside(), work.computed, seconds, joined.rows)


def _describe(encoder: PretrainedEncoder, settings: EncodingSettings) -> FeatureDescription:
    return FeatureDescription(
        encoder=encoder.network.name,
        weights=encoder.weights,
        fingerprint=encoder.fingerprint,
        preprocessing=encoder.preprocessing.to_dict(),
        width=encoder.network.out_features,
        precision=settings.precision,
    )


@contextmanager
def _opened_writer(
    out: Path | str, description: FeatureDescription, lock: AbstractContextManager[bool] | None, parts: Parts
) -> Iterator[FeatureWriter]:
    if parts.part is None:
        with open_writer(out, description, lock) as writer:
            yield writer
        return
    target = PartFolder(out, parts.part)
    target.fetch_records(description)
    with open_writer(target.folder, description, lock, target.written) as writer:
        yield writer


def _joined(writer: FeatureWriter | None, parts: Parts) -> Joined:
    return Joined(0, (), {}) if writer is None or parts.join is None else join_parts(writer, parts.join)


class _Pending(NamedTuple):
    """Image whose features the store lacks."""

    position: int
    key: bytes
    source: ImageSource


class _Work:
    """State of one extraction on one rank; all ranks hold the same."""

    def __init__(
        self,
        files: Sequence[ImageFile],
        encoding: Encoding,
        ranks: Ranks,
        writer: FeatureWriter | None,
        progress: Progress | None,
    ) -> None:
        self.files = files
        self.encoding = encoding
        self.ranks = ranks
        self.writer = writer
        self.progress = progress if ranks.rank == 0 else None
        self.computed = 0
        self.reported = 0
        self.waiting = 0  # images of the next shard
        self.keys = np.zeros((len(files), HASH_BYTES), dtype=np.uint8)
        self.unread: dict[int, str] = {}  # reasons by position, for files without a hash
        self.transient: dict[str, str] = {}  # reasons by hash that may not hold the next time
        stored = None if writer is None else (writer.store.index.keys, writer.store.set_aside)
        keys, self.bad = ranks.share(stored)[0] or (np.empty((0, HASH_BYTES), np.uint8), {})
        self.index = HashIndex(keys)

    def run(self) -> None:
        """Compute and store the missing rows, shard by shard."""
        pending = self._pending()
        while window := list(islice(pending, self._rows_per_shard())):
            self._store_shard(window)
        self._report(len(self.files))

    def images(self) -> tuple[ListedImage, ...]:
        """Return the images with features, in the order of the files."""
        return tuple(
            ListedImage(file.name, self.keys[i].tobytes().hex())
            for i, file in enumerate(self.files)
            if self._reason(i) is None
        )

    def set_aside(self) -> tuple[SetAside, ...]:
        """Return the files without features, with the reasons."""
        reasons = ((file.name, self._reason(i)) for i, file in enumerate(self.files))
        return tuple(SetAside(printable(name), reason) for name, reason in reasons if reason is not None)

    def _reason(self, position: int) -> str | None:
        key = self.keys[position].tobytes().hex()
        return self.unread.get(position) or self.bad.get(key) or self.transient.get(key)

    def _pending(self) -> Iterator[_Pending]:
        """Yield the images whose content is neither stored nor seen before, in the order of the files."""
        seen: set[bytes] = set()
        for start in range(0, len(self.files), _HASHED_AT_ONCE):
            block = range(start, min(start + _HASHED_AT_ONCE, len(self.files)))
            signatures = self._hash(block)
            stored = self.index.find(self.keys[block.start : block.stop]) >= 0
            for i in block:
                key = self.keys[i].tobytes()
                if i in self.unread or stored[i - start] or key in seen or key.hex() in self.bad:
                    continue
                seen.add(key)
                self.waiting += 1
                path = self.files[i].path
                yield _Pending(i, key, ImageSource(path, signatures[i - start], key if is_url(path) else None))
            if not self.waiting:
                self._report(block.stop)

    def _hash(self, block: range) -> list[Signature | None]:
        """Fill in the content hashes of a block of files; ranks share the reading."""
        part = self.ranks.part(len(block))
        own = [self.files[i] for i in block[part.start : part.stop]]
        shares = self.ranks.share(list(self.encoding.decoders.map(hash_file, own)))
        hashed = [each for of_rank in shares for each in of_rank]
        for i, each in zip(block, hashed, strict=True):
            if each.reason is None:
                self.keys[i] = np.frombuffer(each.key, dtype=np.uint8)
            else:
                self.unread[i] = each.reason
        return [each.signature for each in hashed]

    def _store_shard(self, window: list[_Pending]) -> None:
        """Compute the features of a window of images, and append them as one shard."""
        size = self.encoding.batch_size
        batches = [window[start : start + size] for start in range(0, len(window), size)]
        part = self.ranks.part(len(batches))
        own = batches[part.start : part.stop]
        encoded = self.ranks.together(lambda: self._encode(own, window))
        # Ranks have consecutive batches, so their results in rank order are those of the window in order.
        gathered = [each for of_rank in self.ranks.share(encoded) for each in of_rank]
        vectors = np.concatenate([each.vectors for each in gathered])
        faults = [fault for each in gathered for fault in each.faults]
        good = [i for i, fault in enumerate(faults) if fault is None]
        # Faults of the content are stored; others, such as a file that is gone, may not hold the next time.
        found = [(image.key.hex(), fault) for image, fault in zip(window, faults, strict=True) if fault is not None]
        lasting = {key: fault.reason for key, fault in found if fault.lasting}
        self.bad |= lasting
        self.transient |= {key: fault.reason for key, fault in found if not fault.lasting}
        self.computed += len(good)
        self.waiting = 0
        keys = joined_digests([window[i].key for i in good])
        self.ranks.together(lambda: self._append(keys, vectors[good], lasting))

    def _append(self, keys: NDArray[np.uint8], vectors: NDArray[np.float16], bad: dict[str, str]) -> None:
        if self.writer is not None:
            self.writer.append(keys, vectors, bad)

    def _encode(self, batches: Sequence[Sequence[_Pending]], window: Sequence[_Pending]) -> list[Encoded]:
        encoded = []
        sources = ([image.source for image in batch] for batch in batches)
        for batch, result in zip(batches, self.encoding.run(sources), strict=True):
            encoded.append(result)
            # Rank 0 has the first part of a window: its progress represents that of all ranks.
            done = len(encoded) / len(batches)
            self._report(batch[-1].position + 1 if self.ranks.world_size == 1 else _position_at(window, done))
        return encoded

    def _rows_per_shard(self) -> int:
        """Images per shard: few enough to lose little at a kill, many enough for few files."""
        given = self.encoding.settings.rows_per_shard
        wanted = 1 << max(len(self.files) // _SHARDS, 1).bit_length()
        return given or min(max(wanted, _LEAST_ROWS), _MOST_ROWS)

    def _report(self, done: int) -> None:
        if self.progress is not None and done > self.reported:
            self.reported = done
            self.progress("features", done, len(self.files), "images")


def _position_at(window: Sequence[_Pending], share: float) -> int:
    """Return the position in the list of files after a share of a window's images."""
    first, last = window[0].position, window[-1].position + 1
    return first + round(share * (last - first))
