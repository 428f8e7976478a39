"""CIFAR-100 as its authors publish it."""

from pathlib import Path

from torchvision.datasets import CIFAR100

from minimax_al.data.dataset import Dataset
from minimax_al.data.sources.cifar import load_cifar


def load(root: Path) -> Dataset:
    """50,000 images of 32 x 32 pixels to choose from and 10,000 to test on, in 100 classes.

    Args:
        root: the folder that holds (or is) the unpacked archive, or an `.npz` file of its arrays.
    """
    return load_cifar("cifar100", CIFAR100, root)
