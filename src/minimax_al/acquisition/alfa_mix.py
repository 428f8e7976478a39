"""ALFA-Mix: images whose predicted class changes when labelled features are mixed in, spread by k-means.

Parvaneh, Abbasnejad, Teney, Haffari, van den Hengel and Shi, "Active Learning by Feature Mixing" (CVPR 2022). An
unlabelled feature z is mixed with an anchor z*, the mean feature of a class: α z* + (1 − α) z. The paper's closed form
(Eq. 5) for the α of length ε that raises the loss of the predicted class ŷ most gives

    z + ε ‖z* − z‖ g / ‖g‖,    g = ∂ℓ/∂z at ŷ = Vᵀ (p − e_ŷ)    for a last layer V z + b.

Along this ray each difference of logits, l_ŷ − l_k, is linear. So the class changes at the first k whose difference
reaches 0, at the length t* = min_k (l_ŷ − l_k) / s_k over the slopes s_k > 0, and it stays changed. The smallest mixing
of an image is therefore ε* = t* / max_z* ‖z* − z‖: no image is mixed, and no ε is tried out.

A cosine classifier divides its input by its length: its logits are V z / ‖z‖ + b, where b is the log prior of the
classes. Its gradient is orthogonal to z, so that ‖z + t ĝ‖ and with it the weight of b next to V z stay those of the
classifier. With t = ‖z‖ tan θ the difference of logits is a cos θ + s sin θ + c, where a = (v_ŷ − v_k)ᵀ z / ‖z‖,
s = (v_ŷ − v_k)ᵀ ĝ and c = b_ŷ − b_k; it is 0 first at θ = atan2(s, a) + arccos(−c / √(a² + s²)).
"""

import math

import torch
from torch import Tensor

from minimax_al.acquisition.centroids import nearest_to_centers
from minimax_al.acquisition.checks import Array, as_dimensions, check_budget, check_finite, check_same_length
from minimax_al.acquisition.k_means import k_means
from minimax_al.acquisition.rows import (
    BLOCK_ROWS,
    FeatureMatrix,
    Rows,
    as_rows,
    check_finite_rows,
    check_same_width,
    device_of,
    spans,
)
from minimax_al.errors import ConfigurationError, ShapeError


def alfa_mix(
    features: FeatureMatrix,
    weight: Array,
    bias: Array,
    budget: int,
    *,
    labelled: FeatureMatrix,
    targets: Array,
    generator: torch.Generator,
    step: float = 1 / 32,
    normalised: bool = False,
) -> Tensor:
    """Return images whose class changes under the smallest mixing, one per k-means cluster.

    ε grows in steps up to 1 until more than b images change. Their features of length 1 are clustered by k-means into
    b clusters, and the one nearest to each centre is chosen. Where fewer than b images change, the others are drawn
    uniformly. Time O(N·K·(d + K)), then O(n·b·d) per step of k-means on n candidates; memory O(N) and the candidates'
    features.

    Args:
        features: Inputs of the last layer for the unlabelled images, shape (N, d), any real dtype; may stay on disk.
        weight: Weight V of the last layer, shape (K, d).
        bias: Bias b of the last layer, shape (K,).
        budget: Number of images to choose, b.
        labelled: Inputs of the last layer for the labelled images, shape (L, d).
        targets: Classes of the labelled images, shape (L,) whole numbers below K.
        generator: CPU generator of k-means and of the uniform draws.
        step: Step of ε·√d, in (0, 1]; the paper's program uses 1/32.
        normalised: Whether the last layer divides its input by its length, as a cosine classifier does.

    Returns:
        Shape (b,), int64, the largest clusters first, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ConfigurationError: `step` is not in (0, 1].
        ShapeError: Features, last layer, labelled features and targets do not have matching shapes.
        NonFiniteScoreError: A feature or a weight is NaN or infinite.

    Example:
        >>> pool, labelled = torch.tensor([[0.1, 0.0], [3.0, 0.0], [-3.0, 0.0]]), torch.tensor([[3.0, 0], [-3.0, 0]])
        >>> weight, bias, targets = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.zeros(2), torch.tensor([0, 1])
        >>> generator = torch.Generator().manual_seed(0)
        >>> alfa_mix(pool, weight, bias, 1, labelled=labelled, targets=targets, generator=generator)
        tensor([0])
    """
    rows = as_rows(features)
    budget = check_budget(budget, len(rows))
    if not 0 < step <= 1:
        raise ConfigurationError(f"step={step!r} is not a number above 0 and at most 1")
    mixing = smallest_mixing(rows, weight, bias, labelled, targets, normalised=normalised)
    smallest = mixing * math.sqrt(rows.shape[1])
    candidates = _changed(smallest, budget, step)
    chosen = candidates[:0]
    if len(candidates):
        share = min(budget, len(candidates))
        unit = torch.nn.functional.normalize(rows[candidates].float())
        chosen = candidates[nearest_to_centers(k_means(unit, share, generator=generator), share, len(unit))]
    if len(chosen) == budget:
        return chosen
    unused = torch.ones(len(rows), dtype=torch.bool, device=chosen.device)
    unused[chosen] = False
    others = unused.nonzero().flatten()
    drawn = torch.randperm(len(others), generator=generator)[: budget - len(chosen)]
    return torch.cat([chosen, others[drawn.to(others.device)]])


def smallest_mixing(
    features: FeatureMatrix,
    weight: Array,
    bias: Array,
    labelled: FeatureMatrix,
    targets: Array,
    *,
    normalised: bool = False,
) -> Tensor:
    """Return the smallest mixing ε* that changes each image's predicted class.

    Args:
        features: Inputs of the last layer for the unlabelled images, shape (N, d), any real dtype; may stay on disk.
        weight: Weight V of the last layer, shape (K, d).
        bias: Bias b of the last layer, shape (K,).
        labelled: Inputs of the last layer for the labelled images, shape (L, d).
        targets: Classes of the labelled images, shape (L,) whole numbers below K.
        normalised: Whether the last layer divides its input by its length, as a cosine classifier does.

    Returns:
        Shape (N,), float64; infinite where no mixing changes the class.

    Raises:
        ShapeError: Features, last layer, labelled features and targets do not have matching shapes.
        NonFiniteScoreError: A feature or a weight is NaN or infinite.
    """
    rows, known = as_rows(features), as_rows(labelled, "labelled features", "LD")
    device = device_of(rows)
    check_same_width(rows, known)
    check_finite_rows(rows)
    V, b = _last_layer(weight, bias, rows.shape[1], device)
    anchors = _anchors(known, targets, len(V)).to(device)
    gram = V @ V.T
    smallest = torch.empty(len(rows), dtype=torch.float64, device=device)
    for span in spans(len(rows), BLOCK_ROWS):
        block = rows[span].double()
        reached = (_reached_by_angle if normalised else _reached)(block, V, b, gram)
        farthest = torch.cdist(block, anchors).amax(dim=1)
        # An image on all anchors is never moved, whatever ε.
        smallest[span] = torch.where(farthest > 0, reached / farthest, torch.inf)
    return smallest


def _reached(block: Tensor, V: Tensor, b: Tensor, gram: Tensor) -> Tensor:
    """Return the length at which the class of V z + b changes along the gradient, (B,); infinite if it never does."""
    logits = torch.addmm(b, block, V.T)
    errors, predicted = _errors(logits)
    # V g = V Vᵀ (p − e_ŷ) and ‖g‖² = (p − e_ŷ)ᵀ V Vᵀ (p − e_ŷ): the gradient itself is not formed.
    along = errors @ gram
    length = (errors * along).sum(dim=1).clamp_min(0).sqrt()[:, None]
    gaps = logits.gather(1, predicted) - logits
    slopes = (along - along.gather(1, predicted)) / length
    return torch.where(slopes > 0, gaps / slopes, torch.inf).amin(dim=1)


def _reached_by_angle(block: Tensor, V: Tensor, b: Tensor, gram: Tensor) -> Tensor:
    """Return the same for the logits V z / ‖z‖ + b of a cosine classifier."""
    norms = block.norm(dim=1, keepdim=True)
    cosines = torch.nn.functional.normalize(block) @ V.T
    errors, predicted = _errors(cosines + b)
    # The gradient is that of the direction without its part along z: V g = G e − (V ẑ)(ẑᵀ Vᵀ e), both divided by ‖z‖.
    radial = (errors * cosines).sum(dim=1, keepdim=True)
    along = errors @ gram - cosines * radial
    length = ((errors @ gram * errors).sum(dim=1, keepdim=True) - radial**2).clamp_min(0).sqrt()
    a = cosines.gather(1, predicted) - cosines
    s = (along.gather(1, predicted) - along) / length
    c = (b[predicted] - b).expand_as(a)
    radius = torch.hypot(a, s)
    # arccos is NaN where |c| > √(a² + s²): the other class is never reached, as where θ is a right angle or more.
    theta = torch.atan2(s, a) + torch.arccos(-c / radius)
    theta.scatter_(1, predicted, torch.nan)
    first = torch.where(theta < math.pi / 2, theta.clamp_min(0).tan(), torch.inf).amin(dim=1)
    return torch.where(norms[:, 0] > 0, first * norms[:, 0], torch.inf)


def _changed(smallest: Tensor, budget: int, step: float) -> Tensor:
    """Return the images that change at the first multiple of the step at which more than b do, ascending."""
    caps = (torch.arange(1, math.ceil(1 / step) + 1, dtype=torch.float64) * step).clamp_(max=1)
    order = smallest.sort().values
    # A strict inequality on both sides: at ε* itself two classes tie.
    counts = torch.searchsorted(order, caps.to(order.device))
    enough = (counts > budget).nonzero().flatten()
    cap = caps[int(enough[0])] if len(enough) else caps[-1]
    return (smallest < cap.to(smallest.device)).nonzero().flatten()


def _errors(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return p − e_ŷ, (B, K), and ŷ, (B, 1); the component of ŷ is −Σ of the others, which does not round to 0."""
    probs = logits.softmax(dim=1)
    predicted = logits.argmax(dim=1, keepdim=True)
    probs.scatter_(1, predicted, 0)
    return probs.scatter_(1, predicted, -probs.sum(dim=1, keepdim=True)), predicted


def _anchors(labelled: Rows, targets: Array, classes: int) -> Tensor:
    """Return the mean feature of each class, (K, d) float64; of all labels for a class without one."""
    of = as_dimensions(targets, "N", "targets").long()
    check_same_length(labelled, of, ("labelled features", "targets"))
    if len(of) == 0 or int(of.min()) < 0 or int(of.max()) >= classes:
        raise ShapeError(
            f"targets of {len(of)} labelled images must be classes 0 to {classes - 1} of at least one image"
        )
    check_finite_rows(labelled, "labelled features")
    values = labelled[:].double()
    sums = values.new_zeros(classes, values.shape[1]).index_add_(0, of.to(values.device), values)
    counts = torch.bincount(of, minlength=classes).to(values.device)[:, None]
    return torch.where(counts > 0, sums / counts.clamp_min(1), values.mean(dim=0))


def _last_layer(weight: Array, bias: Array, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    V, b = (
        as_dimensions(weight, "KD", "weight").to(device).double(),
        as_dimensions(bias, "K", "bias").to(device).double(),
    )
    if V.shape[1] != width or len(b) != len(V):
        raise ShapeError(f"weight {tuple(V.shape)} and bias {tuple(b.shape)} do not fit features of width {width}")
    check_finite(V, "weights of the last layer")
    check_finite(b, "biases of the last layer")
    return V, b
