"""Encoding: batches of image files to feature vectors, decoded ahead of the forward pass.

On a CPU each thread decodes a batch and runs the network on it alone: threads never wait for one another inside an
operator, and decoding and forward passes share the cores without a fixed split. On an accelerator threads decode ahead
while this thread runs the network.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, NamedTuple, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from minimax_al.cores import available_cores
from minimax_al.data.decoding.decode import read_image
from minimax_al.data.decoding.decode_memory import MAX_PIXELS
from minimax_al.data.object_storage.objects import read_object
from minimax_al.data.object_storage.urls import is_url
from minimax_al.errors import UnreadableImageError
from minimax_al.networks import PretrainedEncoder

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
Signature = tuple[int, int]
"""Size and modification time of a file, in bytes and nanoseconds."""

REMOTE_THREADS = 32
"""Threads that fetch objects of object storage."""

_NETWORKS_AT_ONCE = 8
"""Threads that run the network side by side on a CPU; beyond them Python's lock would be held too often."""


class EncodingSettings(BaseModel):
    """Settings of an extraction.

    Attributes:
        batch_size: Images per forward pass; by default 16 per thread on a CPU, 256 on an accelerator.
        workers: Threads that decode, by default one per core; on a CPU each also runs the network.
        precision: Precision of the forward pass; "bf16" is recorded in the store's description.
        max_pixels: Largest number of pixels of an image; larger ones are set aside.
        rows_per_shard: Images per shard, lost at most when the process is killed; by default 1,024 to 32,768.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: PositiveInt | None = None
    workers: PositiveInt | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    max_pixels: Annotated[int, Field(ge=1)] = MAX_PIXELS
    rows_per_shard: PositiveInt | None = None


class ImageSource(NamedTuple):
    """Image to encode.

    Attributes:
        path: File, or URL of an object.
        signature: Signature of the file when its content hash was computed; None skips the comparison.
        key: SHA-256 of an object, 32 bytes, to compare with; None skips the comparison.
        content: Content of an object, fetched ahead.
    """

    path: Path | str
    signature: Signature | None = None
    key: bytes | None = None
    content: "Future[bytes] | None" = None


class Fault(NamedTuple):
    """Reason why an image has no features, and whether the same content always has it."""

    reason: str
    lasting: bool = True


class Encoded(NamedTuple):
    """Result of one batch.

    Attributes:
        vectors: Feature vectors, shape (b, d) float16; rows with a fault are undefined.
        faults: Fault of each image; None where its vector is good.
    """

    vectors: NDArray[np.float16]
    faults: list[Fault | None]


class Encoding:
    """Context in which batches are encoded; holds the network on its device and the threads.

    Args:
        encoder: Encoder with pretrained weights.
        settings: Batch size, workers, precision.
        device: Device of the forward pass.

    Attributes:
        batch_size: Images per forward pass.
        workers: Threads that decode.
    """

    def __init__(self, encoder: PretrainedEncoder, settings: EncodingSettings, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        self.preprocessing = encoder.preprocessing
        self._width = encoder.network.out_features
        self.network = encoder.network.eval().to(device).to(memory_format=torch.channels_last)
        self.on_cpu = device.type == "cpu"
        self.batch_size = settings.batch_size or (16 if self.on_cpu else 256)
        self._threads = torch.get_num_threads()
        self._networks = min(settings.workers or self._threads, _NETWORKS_AT_ONCE)
        self.workers = settings.workers or (self._threads if self.on_cpu else available_cores())

    def __enter__(self) -> Self:
        self.decoders = ThreadPoolExecutor(self.workers, "decode")
        self._fetchers = ThreadPoolExecutor(REMOTE_THREADS, "fetch")  # threads begin with the first object
        self._forwards = ThreadPoolExecutor(self._networks, "encode", self._share_threads) if self.on_cpu else None
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._forwards, self.decoders, self._fetchers):
            if pool is not None:
                pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads)

    def run(self, batches: Iterable[Sequence[ImageSource]]) -> Iterator[Encoded]:
        """Yield the result of each batch, in order.

        Args:
            batches: Files of each batch, at most `batch_size`.
        """
        batches = (self._with_content(batch) for batch in batches)
        if self._forwards is not None:
            ahead = 2 * self._networks
            yield from in_order(self._forwards, lambda batch: self._encode(self._decode_all(batch)), batches, ahead)
            return
        # One task decodes a whole batch, ahead of the forward passes.
        for decoded in in_order(self.decoders, self._decode_all, batches, 2 * self.workers):
            yield self._encode(decoded)

    def _with_content(self, batch: Sequence[ImageSource]) -> list[ImageSource]:
        """Begin to fetch the objects of a batch."""
        return [
            source._replace(content=self._fetchers.submit(read_object, str(source.path)))
            if is_url(source.path)
            else source
            for source in batch
        ]

    def _share_threads(self) -> None:
        # OpenMP counts threads per calling thread: this sets those of one forward pass, not the process's.
        torch.set_num_threads(max(1, self._threads // self._networks))

    def _decode_all(self, batch: Sequence[ImageSource]) -> "_Decoded":
        side = self.preprocessing.size
        # Batches are padded to one shape, so that an image's features do not depend on how many others came with it.
        pixels_NHWC = np.zeros((self.batch_size, side, side, 3), dtype=np.uint8)
        faults = [self._decode(source, pixels_NHWC[position]) for position, source in enumerate(batch)]
        return _Decoded(torch.from_numpy(pixels_NHWC), faults)

    def _decode(self, source: ImageSource, into: NDArray[np.uint8]) -> Fault | None:
        file: Path | str | BinaryIO = source.path
        if source.content is not None:
            try:
                content = source.content.result()
            except UnreadableImageError as error:
                return Fault(error.reason, lasting=False)
            if source.key is not None and hashlib.sha256(content).digest() != source.key:
                return Fault("its content has changed since it was examined: run 'mal status'", lasting=False)
            file = BytesIO(content)
        try:
            image = read_image(file, self.preprocessing.decoded_side, self.settings.max_pixels)
            into[:] = self.preprocessing.pixels(image)
            if source.signature is not None and signature(source.path) != source.signature:
                return Fault("it changed while it was read: run the command again", lasting=False)
        except UnreadableImageError as error:
            return Fault(error.reason, lasting=source.content is not None or Path(source.path).exists())
        except OSError as error:
            return Fault(f"it cannot be read: {error.strerror or error}", lasting=False)
        return None

    def _encode(self, decoded: "_Decoded") -> Encoded:
        count = len(decoded.faults)
        if None not in decoded.faults:  # no image of the batch could be decoded: the network would see blank squares
            return Encoded(np.zeros((count, self._width), dtype=np.float16), decoded.faults)
        vectors = self._forward(decoded.pixels)[:count].float().to("cpu", torch.float16)
        finite, empty = vectors.isfinite().all(dim=1).tolist(), (vectors == 0).all(dim=1).tolist()
        faults = [
            fault or _fault_of_vector(is_finite=finite[i], is_empty=empty[i]) for i, fault in enumerate(decoded.faults)
        ]
        return Encoded(vectors.numpy(), faults)

    def _forward(self, pixels_NHWC: Tensor) -> Tensor:
        if self.device.type == "cuda":
            pixels_NHWC = pixels_NHWC.pin_memory()
        images = self.preprocessing.normalise(pixels_NHWC.to(self.device, non_blocking=self.device.type == "cuda"))
        # Both contexts belong to a thread and are entered in the thread that runs the network.
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"),
        ):
            features: Tensor = self.network(images)
        return features


class _Decoded(NamedTuple):
    pixels: Tensor
    faults: list[Fault | None]


def signature(path: Path | str) -> Signature:
    """Return size and modification time of a file.

    Raises:
        OSError: The file is gone or not accessible.
    """
    status = Path(path).stat()
    return status.st_size, status.st_mtime_ns


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[ItemT], ResultT], items: Iterable[ItemT], ahead: int
) -> Iterator[ResultT]:
    """Yield `work(item)` of each item in order, computed by a pool at most `ahead` items early.

    Args:
        pool: Threads that do the work.
        work: Function of one item.
        items: Items, read as they are needed.
        ahead: Number of items under way.
    """
    waiting: deque[Future[ResultT]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _fault_of_vector(*, is_finite: bool, is_empty: bool) -> Fault | None:
    if not is_finite:
        return Fault("its features have NaN or values beyond float16")
    return Fault("its features are zeros alone") if is_empty else None
