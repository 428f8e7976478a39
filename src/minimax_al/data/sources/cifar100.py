"""Source of CIFAR-100 as published."""

from pathlib import Path

from torchvision.datasets import CIFAR100

from minimax_al.data.datasets.dataset import Dataset
from minimax_al.data.sources.cifar import load_cifar


def load(root: Path) -> Dataset:
    """Load 50,000 training and 10,000 test images of 32 x 32 pixels, in 100 classes.

    Args:
        root: Folder that holds (or is) the unpacked archive, or an `.npz` file of its arrays.
    """
    return load_cifar("cifar100", CIFAR100, root)
