"""Pools of `scale.py`: manifests, rows and features of images that are nowhere."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

CLASSES, LABELS = 100, 1000
BLOCK, SHARD = 65_536, 1_000_000


def write_manifest(path: Path, images: int) -> None:
    """Write a Parquet manifest of images that are nowhere, in folders of 10,000."""
    import pyarrow as pa  # noqa: PLC0415 - for this case alone
    import pyarrow.parquet as pq  # noqa: PLC0415

    kinds = [("path", pa.string()), ("site", pa.string()), ("sha256", pa.string()), ("width", pa.int32())]
    schema = pa.schema([*kinds, ("height", pa.int32())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, images, BLOCK):
            numbers = range(start, min(start + BLOCK, images))
            columns = {
                "path": [f"s3://pool/{number // 10_000:05d}/{number % 10_000:04d}.jpg" for number in numbers],
                "site": ["ABCDE"[number % 5] for number in numbers],
                "sha256": [hashlib.sha256(number.to_bytes(8)).hexdigest() for number in numbers],
                "width": [640] * len(numbers),
                "height": [480] * len(numbers),
            }
            writer.write_table(pa.table(columns, schema))


PREFILL = """
INSERT INTO items (path, status, content_hash, width, height, size_bytes, modified_ns, added_at, attributes)
SELECT 's3://pool/' || lpad((n / 10000)::text, 5, '0') || '/' || lpad((n % 10000)::text, 4, '0') || '.jpg', 'active',
    hex, 640, 480, 0,
    (('x' || substr(encode(sha256(convert_to('sha256=' || hex, 'UTF8')), 'hex'), 1, 16))::bit(64)::bigint >> 1)
        & 9223372036854775807,
    0, json_build_object('site', substr('ABCDE', (n % 5 + 1)::int, 1))
FROM (
    SELECT n, encode(sha256(int8send(n)), 'hex') AS hex FROM generate_series({start}::bigint, {stop}::bigint) AS n
) AS made
"""
"""The rows that `mal new` stores for the manifest, made by PostgreSQL itself."""


def prefill(folder: Path, images: int, storage: str, **settings: Any) -> None:  # noqa: ANN401 - of a campaign
    """Make the campaign of the first images by `mal new`, and let the database add the rows of all others."""
    from sqlalchemy import text  # noqa: PLC0415

    from minimax_al.campaign import Campaign  # noqa: PLC0415

    write_manifest(folder / "first.parquet", min(BLOCK, images))
    names = [f"class {number}" for number in range(CLASSES)]
    settings = settings or {"recipe": "scratch"}
    with Campaign.create(folder / "campaign", folder / "first.parquet", names, storage=storage, **settings) as made:
        for start in range(BLOCK, images, 1_000_000):
            with made.store.writing() as connection:
                connection.execute(text(PREFILL.format(start=start, stop=min(start + 1_000_000, images) - 1)))
        with made.store.writing() as connection:
            connection.execute(text("ANALYZE items"))
        (folder / "first.parquet").rename(folder / "part.parquet")
        write_manifest(folder / "first.parquet", images)


def write_campaign(folder: Path, images: int, width: int, storage: str) -> None:
    """Make a campaign on given features, with the rows and features of all images and 1,000 labels."""
    from minimax_al.campaign import Campaign  # noqa: PLC0415
    from minimax_al.campaign.images.known_features import FEATURES, remember_store  # noqa: PLC0415
    from minimax_al.data.features.feature_description import FeatureDescription  # noqa: PLC0415
    from minimax_al.data.features.feature_writer import open_writer  # noqa: PLC0415

    # The file of given features that the settings name; the store beside it has the vectors of all images.
    np.save(folder / "given.npy", np.ones((1, width), np.float16))
    (folder / "given.txt").write_text("s3://pool/00000/0000.jpg\n")
    prefill(folder, images, storage, recipe="features", features=folder / "given.npy")
    targets = draw_features(folder / "drawn.npy", images, width)
    drawn = np.load(folder / "drawn.npy", mmap_mode="r")
    with Campaign.open(folder / "campaign") as campaign:
        source = campaign.settings.features
        assert source is not None
        description = FeatureDescription(source.encoder, "given.npy", "drawn", {}, width)
        with open_writer(folder / "campaign" / FEATURES, description) as writer:
            for start in range(0, images, SHARD):
                stop = min(start + SHARD, images)
                hashes = b"".join(hashlib.sha256(number.to_bytes(8)).digest() for number in range(start, stop))
                writer.append(np.frombuffer(hashes, np.uint8).reshape(-1, 32), np.asarray(drawn[start:stop]))
        remember_store(folder / "campaign", source, writer.store)
        (folder / "drawn.npy").unlink()
        lines = (f"s3://pool/00000/{number:04d}.jpg,class {targets[number]}" for number in range(LABELS))
        (folder / "labels.csv").write_text("\n".join(["path,label", *lines]))
        campaign.import_labels(folder / "labels.csv")


def draw_features(path: Path, images: int, width: int) -> np.ndarray:
    """Write class centres with noise in float16, block by block, and return the classes."""
    generator = np.random.default_rng(0)
    centres = np.abs(generator.normal(size=(CLASSES, width))).astype(np.float32)
    targets = generator.integers(CLASSES, size=images)
    # The noise of a block is one of the drawn block, shifted: drawing ten million rows anew would take hours.
    noise = generator.normal(size=(BLOCK, width)).astype(np.float16)
    stored = np.lib.format.open_memmap(path, "w+", np.float16, (images, width))
    for number, start in enumerate(range(0, images, BLOCK)):
        part = targets[start : start + BLOCK]
        shifted = np.roll(noise, 977 * number, axis=0)[: len(part)]
        stored[start : start + len(part)] = np.abs(centres[part].astype(np.float16) + shifted)
    stored.flush()
    return targets
