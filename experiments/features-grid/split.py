"""Split the features of a data set into pool and test, and write them as one Parquet table.

    mal embed flowers --out features/flowers
    python experiments/features-grid/split.py flowers features/flowers --out tables

`sets.yaml` describes each data set. `--validation` splits the pool again and leaves the test images out, so that
settings can be chosen without them.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from minimax_al.data.datasets.split import stratified_test_mask
from minimax_al.data.features.feature_store import open_store
from minimax_al.data.locations.class_folders import part_role

SETS = Path(__file__).with_name("sets.yaml")
THIRD = 1 / 3
Mask = NDArray[np.bool_]


def main() -> None:
    """Write the table of one data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="data set in sets.yaml")
    parser.add_argument("features", type=Path, help="folder that `mal embed` wrote")
    parser.add_argument("--out", type=Path, default=Path("tables"))
    parser.add_argument("--validation", action="store_true", help="split the pool again, without the test images")
    options = parser.parse_args()
    described = yaml.safe_load(SETS.read_text(encoding="utf-8"))[options.name]
    store = open_store(options.features)
    images = sorted(store.images, key=lambda each: each.path)
    paths = [each.path for each in images]
    vectors = store.features([each.sha256 for each in images], paths)[:].numpy()
    write_table(options.out, options.name, paths, vectors, described, validation=options.validation)


def write_table(
    out: Path, name: str, paths: Sequence[str], vectors: NDArray[Any], described: dict[str, Any], *, validation: bool
) -> None:
    """Write `path, label, split, embedding` of the images that the data set keeps.

    Args:
        out: Folder of the table.
        name: Name of the data set, and of the file.
        paths: Image paths, N of them.
        vectors: Feature vectors, shape (N, d).
        described: Entry of `sets.yaml`.
        validation: Whether the pool is split again and the test images are left out.
    """
    labels = np.array([Path(path).parts[described["class"]] for path in paths])
    tracks = _tracks(paths, labels, described.get("track"))
    if "part" in described:
        in_test = np.array([part_role(Path(path).parts[described["part"]]) != "train" for path in paths])
    else:
        in_test = _stratified(labels, tracks)
    kept = np.ones(len(paths), dtype=bool)
    if validation:
        kept, labels_left = ~in_test, labels[~in_test]
        in_test = np.zeros(len(paths), dtype=bool)
        in_test[kept] = _stratified(labels_left, tracks[kept])
    rng = np.random.default_rng(0)
    for largest, side in ((described.get("pool"), kept & ~in_test), (described.get("test"), kept & in_test)):
        rows = np.flatnonzero(side)
        if largest is not None and len(rows) > largest:
            kept[rng.permutation(rows)[largest:]] = False
    chosen = np.flatnonzero(kept)
    out.mkdir(parents=True, exist_ok=True)
    columns = {
        "path": [paths[row] for row in chosen],
        "label": labels[chosen].tolist(),
        "split": ["test" if in_test[row] else "train" for row in chosen],
        "embedding": list(vectors[chosen].astype(np.float32)),
    }
    target = out / f"{name}.parquet"
    pq.write_table(pa.table(columns), target)
    test = int(in_test[chosen].sum())
    print(f"{target}: {len(chosen) - test:,} images to choose from, {test:,} to test on, {len(set(labels))} classes")  # noqa: T201


def _tracks(paths: Sequence[str], labels: NDArray[np.str_], pattern: str | None) -> NDArray[np.int64]:
    """Return the number of each image's track, shape (N,); without a pattern each image is its own."""
    if pattern is None:
        return np.arange(len(paths))
    keys = [f"{label}/{re.match(pattern, path)[1]}" for label, path in zip(labels, paths, strict=True)]  # type: ignore[index]
    return np.unique(keys, return_inverse=True)[1]


def _stratified(labels: NDArray[np.str_], tracks: NDArray[np.int64]) -> Mask:
    """Return a third of the tracks of each class, as a mask of their images, shape (N,)."""
    classes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    _, first, of = np.unique(tracks, return_index=True, return_inverse=True)
    mask: Mask = stratified_test_mask(classes[first], THIRD, seed=0)[of]
    return mask


if __name__ == "__main__":
    main()
