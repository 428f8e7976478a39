"""Features of a campaign's images as the live learner reads them: memory-mapped, found by content hash. Loads torch."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.pool_features import HashedImage, PoolFeatures
from minimax_al.data import Features
from minimax_al.training.build import pool_mean
from minimax_al.vocabulary import Progress


class LiveFeatures:
    """Rows of the feature store by content hash.

    Args:
        context: Campaign that learns on features.

    Attributes:
        pool: Features of the campaign's images.
    """

    def __init__(self, context: CampaignContext) -> None:
        self.pool = PoolFeatures(context)
        self._rows: dict[str, int] = {}
        self._mean: Tensor | None = None

    def compute(self, images: Sequence[HashedImage], progress: Progress | None = None) -> None:
        """Extract the features of the images that have none yet.

        Args:
            images: Images of the campaign.
            progress: Callback of the images whose features are computed.
        """
        missing = [image for image in images if image.content_hash not in self._rows]
        if not missing:
            return
        store = self.pool.compute(missing, progress)
        hashes = [image.content_hash for image in missing]
        self._rows.update(zip(hashes, store.rows(hashes).tolist(), strict=True))
        self._mean = None

    def has(self, image: HashedImage) -> bool:
        """Return whether an image that `compute` has seen has features."""
        return self._rows.get(image.content_hash, -1) >= 0

    def samples(self, images: Sequence[HashedImage]) -> Features:
        """Return the features of images, in their order; nothing is read before it is used."""
        store = self.pool.store
        assert store is not None
        if self._mean is None and any(row >= 0 for row in self._rows.values()):
            self._mean = self._pool_mean()
        rows = np.fromiter((self._rows[image.content_hash] for image in images), np.int64, len(images))
        shards = store.shards or np.empty((0, store.description.width), np.float16)
        found = Features(shards, rows, [image.path for image in images])
        found.known_mean = self._mean
        return found

    def _pool_mean(self) -> Tensor:
        """Return the mean of all images that have features, the same for every fit."""
        store = self.pool.store
        assert store is not None
        rows = np.fromiter((row for row in self._rows.values() if row >= 0), np.int64)
        return pool_mean(Features(store.shards, rows))
