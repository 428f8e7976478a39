"""Maps of the pool: a point in the plane for each image, by principal components or by t-SNE. Loads no torch.

A map is computed once and kept in the campaign folder; it lists its images, so that the page can tell when
others have come since.
"""

from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple, get_args
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from minimax_al.durable import write_durably
from minimax_al.errors import DataError, MissingDependencyError
from minimax_al.exploring.neighbours import NeighbourIndex
from minimax_al.vocabulary import Progress

MapMethod = Literal["pca", "tsne"]
METHODS: tuple[MapMethod, ...] = get_args(MapMethod)

MAPS = "maps"
"""Folder of a campaign's maps."""

_SAMPLE = 20_000
"""Number of images from which principal components are computed; all images are projected on them."""

_COMPONENTS = 50
"""Principal components that t-SNE starts from, as is usual: more cost time and add noise."""

_EXACT = 2_000
"""Number of images up to which t-SNE searches exact neighbours."""

_FEWEST = 4
_REPORT_EVERY = 25
_ITERATIONS = 750
_EARLY = 250

Floats = NDArray[np.float32]


class PoolMap(NamedTuple):
    """Points of images in the plane.

    Attributes:
        items: Ids of the images, shape (N,) int64.
        points: Coordinates in [-1, 1], shape (N, 2) float32.
        store: Name of the feature store.
    """

    items: NDArray[np.int64]
    points: Floats
    store: str


def compute_map(
    index: NeighbourIndex,
    items: NDArray[np.int64],
    rows: NDArray[np.int64],
    method: MapMethod,
    *,
    seed: int,
    progress: Progress | None = None,
) -> PoolMap:
    """Return a map of images.

    Args:
        index: Features.
        items: Ids of the images, shape (N,).
        rows: Row of each image in the feature store, shape (N,).
        method: "pca" for two principal components, "tsne" for t-SNE (extra `map`), which keeps neighbours together.
        seed: Seed of the draws.
        progress: Callback of the steps.

    Raises:
        DataError: There are fewer than 4 images.
        MissingDependencyError: openTSNE is not installed.
    """
    if len(items) < _FEWEST:
        raise DataError(f"{len(items)} images have features: a map needs at least {_FEWEST}")
    if method == "tsne":
        _check_tsne()
    points = _principal_components(index, rows, 2 if method == "pca" else _COMPONENTS, seed, progress)
    if method == "tsne":
        points = _tsne(points, seed, progress)
    return PoolMap(items, _in_unit_square(points), index.store.folder.name)


def write_map(campaign: Path, method: MapMethod, found: PoolMap) -> None:
    """Write a map into the campaign folder."""
    file = BytesIO()
    np.savez(file, items=found.items, points=found.points, store=np.array(found.store))
    write_durably(map_file(campaign, method), file.getvalue())


def read_map(campaign: Path, method: MapMethod) -> PoolMap | None:
    """Return a map of the campaign folder; None if it was not computed yet."""
    try:
        with map_file(campaign, method).open("rb") as file, np.load(file) as arrays:
            return PoolMap(arrays["items"], arrays["points"], str(arrays["store"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def count_points(campaign: Path, method: MapMethod) -> int | None:
    """Return the number of images on a map, from the head of its file; None if it was not computed yet."""
    try:
        with ZipFile(map_file(campaign, method)) as arrays, arrays.open("items.npy") as items:
            np.lib.format.read_magic(items)
            (count,), _, _ = np.lib.format.read_array_header_1_0(items)
            return count
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def map_file(campaign: Path, method: MapMethod) -> Path:
    """Return the file of a map."""
    return campaign / MAPS / f"{method}.npz"


def has_tsne() -> bool:
    """Return whether openTSNE is installed."""
    from importlib.util import find_spec  # noqa: PLC0415

    return find_spec("openTSNE") is not None


def _check_tsne() -> None:
    if not has_tsne():
        raise MissingDependencyError("openTSNE", "map", "a map by t-SNE")


def _principal_components(
    index: NeighbourIndex, rows: NDArray[np.int64], components: int, seed: int, progress: Progress | None
) -> Floats:
    """Return the principal components of unit vectors, shape (N, at most `components`), largest variance first."""
    from sklearn.decomposition import PCA  # noqa: PLC0415 - a slow import

    draws = np.random.default_rng(seed)
    sample = rows if len(rows) <= _SAMPLE else np.sort(draws.choice(rows, _SAMPLE, replace=False))
    fitted = index.unit_vectors(sample)
    solver = PCA(min(components, *fitted.shape), svd_solver="randomized", random_state=seed).fit(fitted)
    block = 4096
    points = np.empty((len(rows), solver.n_components_), np.float32)
    for first in range(0, len(rows), block):
        points[first : first + block] = solver.transform(index.unit_vectors(rows[first : first + block]))
        if progress is not None:
            progress("principal components", min(first + block, len(rows)), len(rows), "images")
    return points if points.shape[1] > 1 else np.concatenate([points, np.zeros_like(points)], axis=1)


def _tsne(components: Floats, seed: int, progress: Progress | None) -> Floats:
    from openTSNE import TSNE  # noqa: PLC0415 - an optional package
    from openTSNE.initialization import rescale  # noqa: PLC0415

    count = len(components)
    done = 0

    def report(iteration: int, error: float, embedding: object) -> bool:  # noqa: ARG001 - openTSNE's signature
        nonlocal done
        done = min(done + _REPORT_EVERY, _ITERATIONS)
        if progress is not None:
            progress("t-SNE", done, _ITERATIONS, "steps")
        return False

    found = TSNE(
        perplexity=min(30, max(1, (count - 1) // 3)),
        early_exaggeration_iter=_EARLY,
        n_iter=_ITERATIONS - _EARLY,
        # The two largest principal components: maps of two days then look alike.
        initialization=rescale(components[:, :2].astype(np.float64)),
        neighbors="exact" if count <= _EXACT else "approx",
        metric="euclidean",
        n_jobs=-1,
        random_state=seed,
        callbacks=report,
        callbacks_every_iters=_REPORT_EVERY,
    ).fit(components)
    return np.asarray(found, dtype=np.float32)


def _in_unit_square(points: Floats) -> Floats:
    """Scale points into [-1, 1], both axes alike; the outermost thousandth of each side is clipped to the edge."""
    low, high = np.quantile(points, [0.001, 0.999], axis=0)
    middle, half = (low + high) / 2, float((high - low).max()) / 2 or 1.0
    inside: Floats = np.clip((points - middle) / half, -1, 1).astype(np.float32)
    return inside
