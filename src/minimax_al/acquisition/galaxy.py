"""GALAXY: bisection of the score order of every class, for pools with rare classes.

Zhang, Katz-Samuels and Nowak, "GALAXY: Graph-based Active Learning at the Extreme" (ICML 2022, arXiv 2202.01402). For
each class c all images, labelled and unlabelled, are ordered by p_c − max_k p_k. Neighbours in this order are joined,
and edges between images with a label of c and images with another label are cut. The classes take turns: the middle of
the shortest path between a label of c and another label is queried. Once a class has no such path, images at distance
2, then 3, … in the order are joined as well, in all classes. The paper asks for the label at once. Where answers come
only after the batch, a queried image counts with its predicted class within the batch.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.acquisition.checks import Array, as_dimensions, check_budget, check_finite, check_same_length
from minimax_al.errors import ShapeError

NEVER = np.iinfo(np.int64).max
"""Distance of an image that no path reaches."""


def galaxy(
    probabilities: Array,
    labels: Array,
    budget: int,
    *,
    generator: torch.Generator,
    answer: Callable[[int], int] | None = None,
) -> Tensor:
    """Return images in the middle of the shortest paths between labels of a class and other labels.

    Where no class has a path, the image is drawn uniformly. Time O(N·K·log N) for the orders and O(N) at worst for each
    image that is chosen; memory O(N·K).

    Args:
        probabilities: Probabilities of all images of the pool, shape (N, K), any real dtype.
        labels: Class of each labelled image and −1 for each unlabelled one, shape (N,) whole numbers.
        budget: Number of images to choose, b, at most the number of unlabelled images.
        generator: CPU generator of the uniform draws.
        answer: Function from an image to its class, as in the paper; default the class of the largest probability.

    Returns:
        Shape (b,), int64: positions among all N images, in order of choice, on the device of `probabilities`.

    Raises:
        BudgetError: The budget is below 1 or above the number of unlabelled images.
        ShapeError: Probabilities and labels do not have matching shapes, or a label is not a class.
        NonFiniteScoreError: A probability is NaN or infinite.

    Example:
        >>> first = torch.arange(9) / 8
        >>> labels = torch.tensor([1, -1, -1, -1, -1, -1, -1, -1, 0])
        >>> galaxy(torch.stack([first, 1 - first], dim=1), labels, 2, generator=torch.Generator().manual_seed(0))
        tensor([4, 2])
    """
    matrix = as_dimensions(probabilities, "NK", "probabilities")
    probs, device = matrix.cpu().double(), matrix.device
    check_finite(probs, "probabilities")
    given = as_dimensions(labels, "N", "labels").cpu().long()
    check_same_length(probs, given, ("probabilities", "labels"))
    if len(given) and not bool(((given >= -1) & (given < probs.shape[1])).all()):
        raise ShapeError(f"labels must be classes 0 to {probs.shape[1] - 1}, or -1 for unlabelled images")
    budget = check_budget(budget, int((given < 0).sum()))
    predicted = probs.argmax(dim=1)
    search = _Search(probs.numpy(), given.numpy().copy())
    answer = answer or (lambda image: int(predicted[image]))
    picks = []
    for _ in range(budget):
        image = search.middle()
        if image is None:
            unlabelled = np.flatnonzero(search.labels < 0)
            image = int(unlabelled[int(torch.randint(len(unlabelled), (1,), generator=generator))])
        search.labels[image] = answer(image)
        picks.append(image)
    return torch.tensor(picks, device=device)


class _Search:
    """Orders of all classes, the labels so far, and the distance up to which images are joined."""

    def __init__(self, probs: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
        largest = probs.max(axis=1)
        # Among images predicted as c, for which the first difference is 0, the less likely one comes first.
        scores = (probs - largest[:, None]) + 1e-8 * largest[:, None]
        self.orders = [np.argsort(scores[:, label], kind="stable") for label in range(probs.shape[1])]
        self.labels = labels
        self.reach = 1
        self.turn = 0

    def middle(self) -> int | None:
        """Return the middle of the shortest path of the class whose turn it is, or None."""
        label = self.turn % len(self.orders)
        self.turn += 1
        image = self._middle(label)
        if image is None and self.reach < len(self.labels):
            self.reach += 1
            image = self._middle(label)
        return image

    def _middle(self, label: int) -> int | None:
        order = self.orders[label]
        known = self.labels[order] >= 0
        positive = self.labels[order] == label
        found = _middle_of_gap(known, positive) if self.reach == 1 else _middle_of_path(known, positive, self.reach)
        return None if found is None else int(order[found])


def _middle_of_gap(known: NDArray[np.bool_], positive: NDArray[np.bool_]) -> int | None:
    """Return the middle of the shortest gap between neighbouring labels of different sides.

    Args:
        known: Whether the image at each place of the order has a label, shape (N,).
        positive: Whether it has a label of the class, shape (N,).
    """
    places = np.flatnonzero(known)
    gaps = np.diff(places)
    # A gap of 1 is a cut edge: nothing is between.
    open_gaps = np.flatnonzero((gaps > 1) & (np.diff(positive[places].astype(np.int8)) != 0))
    if len(open_gaps) == 0:
        return None
    first = open_gaps[gaps[open_gaps].argmin()]
    half, start, end = gaps[first] // 2, places[first], places[first + 1]
    return int(start + half if positive[start] else end - half)


def _middle_of_path(known: NDArray[np.bool_], positive: NDArray[np.bool_], reach: int) -> int | None:
    """Return the middle of the shortest path whose steps go over at most `reach` places, by breadth-first search.

    Args:
        known: Whether the image at each place of the order has a label, shape (N,).
        positive: Whether it has a label of the class, shape (N,).
        reach: Largest step of a path.
    """
    negative = known & ~positive
    distance = np.where(positive, 0, NEVER)
    for length, layer in enumerate(_layers(positive, known, reach), start=1):
        distance[layer] = length
        ends = np.flatnonzero(_widened(layer, reach) & negative)
        if len(ends):
            return _walk_back(int(ends[0]), distance, length, reach)
    return None


def _layers(start: NDArray[np.bool_], known: NDArray[np.bool_], reach: int) -> Iterator[NDArray[np.bool_]]:
    """Yield the unlabelled places that are one step from the start, then two, and so on."""
    seen, layer = known, start
    while True:
        layer = _widened(layer, reach) & ~seen
        if not layer.any():
            return
        yield layer
        seen = seen | layer


def _widened(layer: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return the places within `reach` of a place of the layer."""
    total = np.concatenate([[0], layer.cumsum()])
    places = np.arange(len(layer))
    inside = total[np.minimum(places + reach + 1, len(layer))] - total[np.maximum(places - reach, 0)]
    return np.asarray(inside > 0)


def _walk_back(end: int, distance: NDArray[np.int64], length: int, reach: int) -> int:
    """Return the place at half the length of a shortest path to `end`, whose last unlabelled place is at `length`."""
    place, steps = end, length + 1
    while steps > (length + 1) // 2:
        steps -= 1
        begin = max(place - reach, 0)
        place = begin + int(np.flatnonzero(distance[begin : place + reach + 1] == steps)[0])
    return place
