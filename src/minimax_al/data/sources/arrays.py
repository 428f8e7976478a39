"""Source of images and labels in one `.npz` file of NumPy arrays.

`X_train` and `X_test` are (N, H, W, 3) or (N, H, W) uint8, `y_train` and `y_test` (N,) whole numbers (-1 in
`y_train` where the class is unknown), `class_names` (K,) text.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from minimax_al.data.datasets.dataset import Dataset, image_statistics
from minimax_al.data.images.images import ResidentImages
from minimax_al.errors import DataError

KEYS = ("X_train", "y_train", "X_test", "y_test", "class_names")


def load(root: Path) -> Dataset:
    """Load the data set in an `.npz` file.

    Args:
        root: File; its name is that of the data set.

    Raises:
        DataError: The file or one of its arrays cannot be used.
    """
    arrays = _read(root)
    return dataset_from_arrays(
        root.stem,
        _class_names(arrays["class_names"], root),
        (arrays["X_train"], arrays["y_train"]),
        (arrays["X_test"], arrays["y_test"]),
        where=f" in {str(root)!r}",
    )


def dataset_from_arrays(
    name: str,
    class_names: tuple[str, ...],
    train: tuple[NDArray[np.generic], NDArray[np.generic]],
    test: tuple[NDArray[np.generic], NDArray[np.generic]],
    where: str = "",
) -> Dataset:
    """Return a data set of arrays in memory.

    Args:
        name: Name in curves and tables.
        class_names: Class names in the order of the labels.
        train: Images, shape (N, H, W, 3) or (N, H, W), uint8, and labels, shape (N,), integers, -1 where unknown.
        test: Images and labels of the test set, in the same forms; all labels are known.
        where: End of an error's sentence, with the origin of the arrays.

    Raises:
        DataError: An array cannot be used.
    """
    pixels = {part: _pixels(arrays[0], f"X_{part}{where}") for part, arrays in (("train", train), ("test", test))}
    labels = {part: _labels(arrays[1], f"y_{part}{where}") for part, arrays in (("train", train), ("test", test))}
    for part in ("train", "test"):
        if len(pixels[part]) != len(labels[part]):
            raise DataError(f"X_{part} has {len(pixels[part])} images but y_{part} {len(labels[part])} labels{where}")
    images = {
        part: ResidentImages(block, [f"{part}/{i:05d}" for i in range(len(block))]) for part, block in pixels.items()
    }
    if not len(images["train"]):
        raise DataError(f"X_train holds no images{where}")
    mean, std = image_statistics(images["train"])
    return Dataset(
        name=name,
        task="classification",
        class_names=class_names,
        train=images["train"],
        train_targets=labels["train"],
        test=images["test"],
        test_targets=labels["test"],
        mean=mean,
        std=std,
    )


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    if not path.is_file():
        raise DataError(f"{str(path)!r} is not a file: give the .npz file with {', '.join(KEYS)}")
    try:
        arrays = _load(path)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{str(path)!r} cannot be read as plain arrays ({error}): save it again with numpy.savez, "
            "text as fixed-width strings and no objects"
        ) from error
    missing = [key for key in KEYS if key not in arrays]
    if missing:
        found = ", ".join(arrays) or "one array without a name"
        raise DataError(f"{str(path)!r} has no {missing[0]!r}; expected {', '.join(KEYS)}, found {found}")
    return arrays


def _load(path: Path) -> dict[str, NDArray[np.generic]]:
    # Opened here: on a damaged file NumPy would leave its own open.
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):  # a single .npy array
            return {}
        return {key: archive[key] if key in KEYS else np.empty(0) for key in archive}


def _pixels(array: NDArray[np.generic], what: str) -> torch.Tensor:
    if array.dtype != np.uint8:
        raise DataError(f"{what} is {array.dtype}, not uint8: scale the pixels to 0..255 and convert them")
    grey = array.ndim == 3
    if not grey and not (array.ndim == 4 and array.shape[3] == 3):
        raise DataError(f"{what} has the shape {array.shape}, not (N, H, W, 3) or (N, H, W): put channels last")
    pixels = torch.from_numpy(array)
    if grey:
        return pixels[:, None].repeat(1, 3, 1, 1)
    return pixels.permute(0, 3, 1, 2).contiguous()


def _labels(array: NDArray[np.generic], what: str) -> torch.Tensor:
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{what} is {array.shape} {array.dtype}, not (N,) whole numbers")
    return torch.from_numpy(array.astype(np.int64))


def _class_names(array: NDArray[np.generic], path: Path) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise DataError(f"class_names in {str(path)!r} is {array.shape} {array.dtype}, not (K,) text")
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in array.tolist())
