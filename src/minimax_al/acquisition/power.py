"""Power sampling: batches drawn in proportion to a power of a score (PowerBALD).

Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron and Gal, "Stochastic Batch Acquisition: A Simple Baseline for
Deep Active Learning" (TMLR 2023, arXiv 2106.12059). The b highest scores of one model are often near copies of one
another. Images are drawn without replacement instead, each time with probability s_i^β / Σ_j s_j^β over the images that
are left. Adding independent Gumbel noise to β ln s_i and taking the b largest sums has exactly this distribution.
"""

import math

import torch
from torch import Tensor

from minimax_al.acquisition.checks import Array, as_scores, check_budget, refuse_negative
from minimax_al.acquisition.rules import top_unchecked
from minimax_al.errors import ConfigurationError


def power_sample(scores: Array, budget: int, *, generator: torch.Generator, power: float = 1.0) -> Tensor:
    """Draw images without replacement in proportion to a power of their scores.

    Images of score 0 are drawn once no other is left, all equally likely. Time O(N), memory O(N).

    Args:
        scores: Scores, shape (N,), 0 or more, any real dtype: mutual informations for PowerBALD.
        budget: Number of images to choose, b.
        generator: CPU generator of the noise.
        power: Exponent β, above 0; a large one gives the b highest scores, a small one uniform draws.

    Returns:
        Shape (b,), int64, in the order of the draws, on the device of `scores`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ConfigurationError: A score is below 0, or `power` is not above 0.
        ShapeError: The scores do not have the shape (N,).
        NonFiniteScoreError: A score is NaN or infinite.

    Example:
        >>> power_sample(torch.tensor([0.0, 1.0, 1e-9]), 2, generator=torch.Generator().manual_seed(0))
        tensor([1, 2])
    """
    values = as_scores(scores).double()
    budget = check_budget(budget, len(values))
    if not 0 < power < math.inf:
        raise ConfigurationError(f"power={power!r} must be a number above 0")
    refuse_negative(values, "scores of power sampling")
    # −ln of an exponential variable is a Gumbel variable; on the CPU, so that one seed gives one batch on any device.
    waiting = torch.empty(len(values), dtype=torch.float64).exponential_(generator=generator)
    noise = -waiting.clamp_min(torch.finfo(torch.float64).tiny).log().to(values.device)
    chances = (values > 0).nonzero().flatten()
    drawn = chances[top_unchecked(power * values[chances].log() + noise[chances], min(budget, len(chances)))]
    if len(drawn) == budget:
        return drawn
    without = (values == 0).nonzero().flatten()
    return torch.cat([drawn, without[top_unchecked(noise[without], budget - len(drawn))]])
