"""Description of how feature vectors are computed, as a store on disk has it. Loads no torch."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minimax_al.errors import FeatureStoreError

FORMAT_VERSION = 1
DESCRIPTION = "description.json"


@dataclass(frozen=True)
class FeatureDescription:
    """Description of how the vectors of a store are computed.

    Attributes:
        encoder: Name of the encoder.
        weights: Origin of the weights, for readers; not part of the identity.
        fingerprint: SHA-256 of the encoder's tensors, hexadecimal.
        preprocessing: Fields of the encoder's preprocessing, as JSON values.
        width: d, numbers per vector.
        precision: "fp32" or "bf16": precision of the forward pass.
        version: Version of the store's format.
    """

    encoder: str
    weights: str
    fingerprint: str
    preprocessing: Mapping[str, Any]
    width: int
    precision: str = "fp32"
    version: int = FORMAT_VERSION

    @property
    def identity(self) -> str:
        """Hash of everything that decides the vectors, hexadecimal."""
        deciding = {name: value for name, value in asdict(self).items() if name != "weights"}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

    @property
    def folder_name(self) -> str:
        """Name of the store's subfolder."""
        encoder = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.encoder)
        return f"{encoder}-{self.preprocessing.get('size', 0)}px-{self.identity[:8]}"

    def to_json(self) -> str:
        """Return the fields as JSON text."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def read_description(folder: Path) -> FeatureDescription:
    """Return the description in the folder of a store.

    Raises:
        FeatureStoreError: The folder is not a store, is of another format version, or is damaged.
    """
    path = folder / DESCRIPTION
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values["version"]
        if version != FORMAT_VERSION:
            raise FeatureStoreError(
                f"{str(folder)!r} has format version {version!r}, and this program reads {FORMAT_VERSION}: "
                "embed the images again elsewhere"
            )
        return FeatureDescription(**values)
    except FileNotFoundError as error:
        raise FeatureStoreError(f"{str(folder)!r} does not hold features: {DESCRIPTION} is missing") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FeatureStoreError(f"{str(path)!r} is damaged ({error}): embed the images again elsewhere") from error
