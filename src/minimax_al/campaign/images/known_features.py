"""Feature store that a campaign uses at present, found without loading the encoder. Loads no torch."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from minimax_al.campaign.settings.settings import FeatureSource
from minimax_al.data.features.feature_store import FeatureStore
from minimax_al.durable import write_durably
from minimax_al.errors import FeatureStoreError

FEATURES = "features"
"""Folder of a campaign's feature stores."""

CURRENT = "current.json"
"""File that maps sources of features to their stores."""


def known_store(campaign: Path, source: FeatureSource) -> FeatureStore | None:
    """Return the store of a source's features; None before the first extraction.

    Args:
        campaign: Campaign folder.
        source: Encoder, weights and input size.
    """
    with suppress(OSError, ValueError, KeyError, FeatureStoreError):
        known = json.loads((campaign / FEATURES / CURRENT).read_bytes())
        return FeatureStore(campaign / FEATURES / known[_key(source)])
    return None


def remember_store(campaign: Path, source: FeatureSource, store: FeatureStore) -> None:
    """Record the store of a source's features.

    Args:
        campaign: Campaign folder.
        source: Encoder, weights and input size.
        store: Store in the campaign folder.
    """
    write_durably(campaign / FEATURES / CURRENT, json.dumps({_key(source): store.folder.name}).encode())


def _key(source: FeatureSource) -> str:
    """Return a text that changes with the source, also with the content of a file of weights."""
    fields = source.model_dump()
    if source.weights != "published":
        with Path(source.weights).open("rb") as file:
            fields["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    return json.dumps(fields, sort_keys=True)
