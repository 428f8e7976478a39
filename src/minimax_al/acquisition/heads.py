"""Heads on features: logits of a block, and scores of a whole pool in one pass."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from minimax_al.acquisition.checks import as_dimensions, check_finite
from minimax_al.acquisition.rows import BLOCK_ROWS, FeatureMatrix, Rows, as_rows, check_finite_rows, spans
from minimax_al.errors import ShapeError

LogitsOf: TypeAlias = Callable[[Tensor], Tensor]
"""Head on features: takes a block (B, d) float32 and returns its logits (B, K)."""


def scores_of(features: FeatureMatrix, logits_of: LogitsOf, score: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a score of every image from a head, in one pass over the features.

    Args:
        features: Features of the images, shape (N, d), any real dtype; may stay on disk.
        logits_of: Head that returns logits (B, K) for a block of features (B, d) in float32.
        score: Score of a block of logits, (B, K) to (B, …): `margin`, `entropy` or `least_confidence`.

    Returns:
        Shape (N, …), dtype and device of the scores.

    Raises:
        ShapeError: The features are not a matrix, or the head returned another number of rows.
        NonFiniteScoreError: A feature or a logit is NaN or infinite.

    Example:
        >>> from minimax_al.acquisition import margin
        >>> scores_of(torch.tensor([[3.0, 3.0], [90.0, 0.0]]), lambda block: block, margin)
        tensor([0., 1.])
    """
    rows = as_rows(features)
    parts = [score(finite_logits(rows, span, rows[span].float(), logits_of)) for span in spans(len(rows), BLOCK_ROWS)]
    return torch.cat(parts) if parts else torch.empty(0)


def finite_logits(rows: Rows, span: slice, block: Tensor, logits_of: LogitsOf) -> Tensor:
    """Return the logits of a block of rows, (B, K), and refuse values that are not finite.

    Args:
        rows: All rows, shape (N, d), for the positions in an error's sentence.
        span: Position of the block among all rows.
        block: The rows of the block in float32, shape (B, d).
        logits_of: Head.

    Raises:
        NonFiniteScoreError: A feature or a logit is NaN or infinite.
    """
    logits = logits_of_block(logits_of, block)
    if not bool(logits.isfinite().all()):
        check_finite_rows(rows)
        check_finite(logits, f"logits of the images from {span.start} on")
    return logits


def logits_of_block(logits_of: LogitsOf, block: Tensor) -> Tensor:
    """Return the logits of a block, (B, K).

    Raises:
        ShapeError: The head returned another number of rows, or not a matrix.
    """
    with torch.no_grad():
        logits = as_dimensions(logits_of(block), "NK")
    if len(logits) != len(block):
        raise ShapeError(f"the head returned logits for {len(logits)} images of a block of {len(block)}")
    return logits
