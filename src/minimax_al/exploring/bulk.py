"""Confirm by class: the images that today's model takes for one class, to be confirmed many at a time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from minimax_al.exploring.pool_view import PoolView

CandidateOrder = Literal["sure", "unsure"]


@dataclass(frozen=True)
class CandidateCount:
    """Number of candidates of a class.

    Attributes:
        name: Class.
        images: Number of images that today's model takes for it.
    """

    name: str
    images: int


def find_candidates(view: PoolView, class_name: str, order: CandidateOrder) -> NDArray[np.int64]:
    """Return the rows of the images that today's model takes for a class.

    Images of the random sample that still wait are not among them: a label that a suggestion has shaped would bias the
    accuracy on the sample. Neither are images on another annotator's screen.

    Args:
        view: View of the pool.
        class_name: Class.
        order: "sure" for the largest probabilities first, "unsure" for the smallest.
    """
    rows = np.flatnonzero(_offered(view) & (view.opinions.predicted == view.class_ids.get(class_name, -1)))
    confidence = view.opinions.confidence[rows]
    return rows[np.argsort(-confidence if order == "sure" else confidence, kind="stable")]


def count_candidates(view: PoolView) -> list[CandidateCount]:
    """Return the number of candidates of every class, in the order of the classes."""
    predicted = view.opinions.predicted[_offered(view)]
    counts = np.bincount(predicted, minlength=max(view.class_ids.values(), default=0) + 1)
    return [CandidateCount(name, int(counts[number])) for name, number in view.class_ids.items()]


def _offered(view: PoolView) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = view.unanswered & view.opinions.covered & ~view.reserved
    return found
