"""Reader of CIFAR-10 and CIFAR-100 in the published Python format, by torchvision."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.sources.arrays import dataset_from_arrays
from minimax_al.data.sources.arrays import load as load_arrays
from minimax_al.errors import DataError

PUBLISHED_AT = "https://www.cs.toronto.edu/~kriz/cifar.html"


def load_cifar(name: str, reader: type[CIFAR10 | CIFAR100], root: Path) -> Dataset:
    """Load CIFAR from the unpacked archive, or from one `.npz` file of its arrays.

    Args:
        name: Name of the data set, "cifar10" or "cifar100".
        reader: Class of torchvision.
        root: Folder that holds (or is) the unpacked archive, or a file of the source `arrays`.

    Raises:
        DataError: The files are missing or damaged; the sentence has the folder and the address.
    """
    if root.suffix == ".npz":
        return replace(load_arrays(root), name=name)
    folder = reader.base_folder
    parent = root.parent if root.name == folder and not (root / folder).exists() else root
    try:
        train, test = (reader(parent, train=part, download=False) for part in (True, False))
    except RuntimeError as error:
        state = "damaged or incomplete" if (parent / folder).exists() else "not there"
        raise DataError(
            f"{name} is {state}: looked in {str(parent / folder)!r}; "
            f"download {reader.filename} from {PUBLISHED_AT} and unpack it in {str(parent)!r}, "
            "or give an .npz file of its arrays"
        ) from error
    return dataset_from_arrays(
        name,
        tuple(train.classes),
        (train.data, np.asarray(train.targets)),
        (test.data, np.asarray(test.targets)),
    )
