"""DropQuery: images whose predicted class changes under dropout, spread by k-means.

Gupte, Aklilu, Nirschl and Yeung-Levy, "Revisiting Active Learning in the Era of Vision Foundation Models" (TMLR 2024,
arXiv 2401.14555). Each image's features are dropped out M times. An image whose predicted class differs from the one
without dropout in more than half of the passes is a candidate. The candidates are clustered into b clusters, and the
one nearest to each centre is chosen.
"""

import torch
from torch import Tensor

from minimax_al.acquisition.centroids import nearest_to_centers
from minimax_al.acquisition.checks import check_budget
from minimax_al.acquisition.heads import LogitsOf, finite_logits, logits_of_block
from minimax_al.acquisition.k_means import k_means
from minimax_al.acquisition.rows import BLOCK_ROWS, Chosen, FeatureMatrix, Rows, as_rows, device_of, spans
from minimax_al.acquisition.rules import top_unchecked
from minimax_al.acquisition.scores import margin
from minimax_al.errors import ConfigurationError

LEVELS = 1 << 8
"""Dropout rates are multiples of 1/256, so that one random byte decides about one feature."""


def dropquery(
    features: FeatureMatrix,
    logits_of: LogitsOf,
    budget: int,
    *,
    generator: torch.Generator,
    passes: int = 3,
    rate: float = 0.75,
) -> Tensor:
    """Return images whose predicted class is unstable under dropout, one per k-means cluster.

    Where fewer than b images disagree in more than half of the passes, those follow that disagree in most passes, and
    among equals those of the smallest margin. Time O(N·d·K·(M + 1)) for the passes and O(n·b·d) per step of k-means on
    n candidates; memory O(N) and about 600 MiB at most in addition to the features.

    Args:
        features: Features of the unlabelled images, shape (N, d), any real dtype; may stay on disk.
        logits_of: Head that returns logits (B, K) for a block of features (B, d) in float32.
        budget: Number of images to choose, b.
        generator: CPU generator of the dropout masks and of k-means.
        passes: Number of passes with dropout, M.
        rate: Share of features that are set to zero, rounded to a multiple of 1/256; the others are scaled up.

    Returns:
        Shape (b,), int64, the largest clusters first, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ConfigurationError: `passes` is below 1, or `rate` is not between 0 and 1.
        ShapeError: The features or the logits are not matrices of matching sizes.
        NonFiniteScoreError: A feature or a logit is NaN or infinite.

    Example:
        >>> halves = torch.tensor([[8.0, 0.0], [4.0, 4.1], [0.0, 8.0], [4.1, 4.0]])
        >>> pool, head = halves.repeat_interleave(32, dim=1), lambda block: block.view(-1, 2, 32).sum(dim=2)
        >>> sorted(dropquery(pool, head, 2, generator=torch.Generator().manual_seed(0), passes=9).tolist())
        [1, 3]
    """
    rows = as_rows(features)
    budget = check_budget(budget, len(rows))
    if passes < 1:
        raise ConfigurationError(f"passes={passes!r} must be 1 or more")
    if not 1 / (2 * LEVELS) <= rate <= 1 - 1 / (2 * LEVELS):
        raise ConfigurationError(f"rate={rate!r} is not a share between 0 and 1")
    disagreements, margins = _disagreements(rows, logits_of, passes, round(rate * LEVELS), generator)
    unstable = 2 * disagreements > passes
    count = max(budget, int(unstable.sum()))
    # Disagreements are whole numbers and margins at most 1, so one number orders by both.
    candidates = top_unchecked(disagreements - margins / 2, count).sort().values
    found = k_means(Chosen(rows, candidates), budget, generator=generator)
    return candidates[nearest_to_centers(found, budget, count)]


def _disagreements(
    rows: Rows, logits_of: LogitsOf, passes: int, dropped: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return in how many passes each image's predicted class changes, and its margin; both (N,) float64."""
    device = device_of(rows)
    disagreements, margins = torch.zeros((2, len(rows)), dtype=torch.float64, device=device)
    for span in spans(len(rows), BLOCK_ROWS):
        block = rows[span].float()
        logits = finite_logits(rows, span, block, logits_of)
        margins[span] = margin(logits)
        predicted = logits.argmax(dim=1)
        # Kept features are scaled up, so that their expectation stays the same.
        scaled = block * (LEVELS / (LEVELS - dropped))
        for _ in range(passes):
            noisy = drop_out(scaled, dropped, generator)
            disagreements[span] += logits_of_block(logits_of, noisy).argmax(dim=1) != predicted
    return disagreements, margins


def drop_out(block: Tensor, dropped: int, generator: torch.Generator) -> Tensor:
    """Return a block of which each number is set to zero with probability dropped/256."""
    # Eight random bytes per draw: drawing would take longer than the head otherwise.
    draws = torch.empty(-(-block.numel() // 8), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    kept = draws.view(torch.uint8)[: block.numel()].view(block.shape) >= dropped
    return block * kept.to(block.device)
