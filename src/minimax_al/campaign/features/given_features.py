"""Features of a campaign's images that another program has computed."""

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from minimax_al.campaign.settings.named_recipes import GIVEN
from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.data.features.feature_store import FeatureStore
from minimax_al.data.features.feature_tables import read_feature_table
from minimax_al.data.features.feature_writer import open_writer
from minimax_al.data.features.hash_index import as_bytes
from minimax_al.errors import DataError


def store_given_features(
    folder: Path, file: Path, images: Mapping[str, str], lock: AbstractContextManager[bool] | None = None
) -> FeatureStore:
    """Store the given features of images under the images' content hashes.

    Features without an image are not stored.

    Args:
        folder: Folder of the campaign's feature stores.
        file: File of features, see `read_feature_table`.
        images: Path of each image by its content hash.
        lock: Lock of the store instead of a lock file, see `open_writer`.

    Raises:
        DataError: The file cannot be used, lacks an image, or has a number that float16 cannot hold.
    """
    table = read_feature_table(file)
    hashes, paths = list(images), list(images.values())
    with np.errstate(over="ignore"):
        vectors = np.asarray(table.vectors[table.rows(paths)]).astype(np.float16)
    beyond = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(beyond):
        raise DataError(
            f"{str(file)!r} has a number beyond 65,504 in the features of {paths[beyond[0]]!r}: scale all features down"
        )
    with file.open("rb") as opened:
        fingerprint = hashlib.file_digest(opened, "sha256").hexdigest()
    description = FeatureDescription(GIVEN, file.name, fingerprint, {}, int(table.vectors.shape[1]))
    with open_writer(folder, description, lock) as writer:
        writer.append(as_bytes(hashes), vectors)
        return writer.store
