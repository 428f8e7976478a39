"""BAIT: batches that lower the error bound of the last layer, measured by its Fisher information.

Ash, Goel, Krishnamurthy and Kakade, "Gone Fishing: Neural Active Learning with Fisher Embeddings" (NeurIPS 2021, arXiv
2106.09675). The Fisher information of the last layer at an image with features φ and probabilities p is

    I(x) = (diag(p) − p pᵀ) ⊗ φ φᵀ = V Vᵀ,    V = A ⊗ φ,    column k of A: √p_k (e_k − p).

F is the mean of I over the pool, L the number of labels. With M = λ 1 + (Σ_labelled I + b Σ_batch I) / (L + b), as in
the authors' program, the batch should make tr(M⁻¹ F) small. 2b images are added greedily, each the one that lowers the
trace most, and b of them are removed greedily, each the one whose loss raises it least. By Woodbury's identity, with
S = Vᵀ M⁻¹ V and R = Vᵀ M⁻¹ F M⁻¹ V, adding an image lowers the trace by tr(R (1 + S)⁻¹), and removing one raises it by
tr(R (1 − S)⁻¹). S and R of all images are kept and corrected after each addition, which needs one product of the
features with a thin matrix.

M has K·d rows. Where that is too many, the form "binary" replaces p by the probability of the likeliest class against
all others, I(x) = p (1 − p) φ φᵀ, so that M has d rows (Huseljic, Herde, Hahn, Müjdeci and Sick, "Fast Fishing", arXiv
2404.08981).
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from minimax_al.acquisition.checks import (
    Array,
    as_dimensions,
    check_budget,
    check_finite,
    check_same_length,
)
from minimax_al.acquisition.rows import (
    BLOCK_ROWS,
    Chosen,
    FeatureMatrix,
    Rows,
    as_rows,
    check_finite_rows,
    check_same_width,
    device_of,
    spans,
)
from minimax_al.errors import ConfigurationError, ShapeError, UnknownNameError

Fisher = Literal["auto", "exact", "binary"]
"""Form of the Fisher information."""

MOST_DIMENSIONS = 2048
"""Most rows K·d of the matrices for which `auto` is exact: 32 MiB each."""
MOST_WORK = 2**37
"""Most multiplications of the first products, N·(K·d)², for which `auto` is exact: about 10 s."""
MOST_IMAGES = 50_000
"""Most candidates, which are drawn from a larger pool."""
DOUBLE_NUMBERS = 2**24
"""Most features, N·d, that are multiplied in float64."""


def bait(
    features: FeatureMatrix,
    logits: Array,
    budget: int,
    *,
    generator: torch.Generator,
    labelled: FeatureMatrix,
    labelled_logits: Array,
    fisher: Fisher = "auto",
    regularisation: float | None = None,
    most_images: int = MOST_IMAGES,
) -> Tensor:
    """Return a batch that lowers tr(M⁻¹ F) most, by greedy additions of 2b images and removals of b.

    F is the mean over all images, labelled or not. Equal gains go to the lower index. The exact form takes O(N·(K·d)²)
    time at first, then O(N·d·K²) per addition, and O(N·(d + K²) + (K·d)²) memory; in the binary form K is 1.

    Args:
        features: Inputs of the last layer for the unlabelled images, shape (N, d), any real dtype; may stay on disk.
        logits: Logits of the unlabelled images, shape (N, K).
        budget: Number of images to choose, b.
        generator: CPU generator that draws the candidates of a pool of more than `most_images`.
        labelled: Inputs of the last layer for the labelled images, shape (L, d).
        labelled_logits: Logits of the labelled images, shape (L, K).
        fisher: "exact" is the paper's form, "binary" the approximation; "auto" is exact up to 2,048 rows of M.
        regularisation: Regularisation λ, above 0; default the mean eigenvalue of F, so that the scale of the features
            does not matter. The authors' program uses 1, or 0.01 for CIFAR-10.
        most_images: Number of candidates up to which the rule is exact; a larger pool is represented by a draw.

    Returns:
        Shape (b,), int64, in the order of addition, on the device of `features`.

    Raises:
        BudgetError: The budget is below 1 or above N.
        ConfigurationError: `regularisation` is not above 0.
        UnknownNameError: `fisher` is not one of the three forms.
        ShapeError: Features and logits do not have matching shapes.
        NonFiniteScoreError: A feature or a logit is NaN or infinite.

    Example:
        >>> pool, logits = torch.tensor([[3.0, 0.0], [3.1, 0.0], [0.0, 2.0]]), torch.zeros(3, 2)
        >>> nothing = torch.zeros(1, 2)
        >>> picks = bait(
        ...     pool, logits, 2, generator=torch.Generator(), labelled=nothing, labelled_logits=nothing, fisher="exact"
        ... )
        >>> sorted(picks.tolist())
        [1, 2]
    """
    rows, known = as_rows(features), as_rows(labelled, "labelled features", "LD")
    check_same_width(rows, known)
    budget = check_budget(budget, len(rows))
    if regularisation is not None and not 0 < regularisation < float("inf"):
        raise ConfigurationError(f"regularisation={regularisation!r} must be a number above 0")
    logits_NK, logits_LK = _logits_of(rows, logits, "logits"), _logits_of(known, labelled_logits, "labelled logits")
    if logits_NK.shape[1] != logits_LK.shape[1]:
        raise ShapeError(f"logits are of {logits_NK.shape[1]} classes, labelled logits of {logits_LK.shape[1]}")
    exact = _is_exact(fisher, len(rows), rows.shape[1], logits_NK.shape[1])
    factors, known_factors = fisher_factors(logits_NK, exact=exact), fisher_factors(logits_LK, exact=exact)
    total_L = fisher_sum(known, known_factors)
    mean_F = (fisher_sum(rows, factors) + total_L) / (len(rows) + len(known))
    if regularisation is None:
        regularisation = max(float(mean_F.diagonal().mean()), torch.finfo(torch.float32).tiny)
    everybody = len(known) + budget
    start = total_L / everybody
    start.diagonal().add_(regularisation)
    candidates = _drawn(len(rows), max(most_images, min(2 * budget, len(rows))), generator).to(device_of(rows))
    part = rows if len(candidates) == len(rows) else Chosen(rows, candidates)
    weighted = factors[candidates] * (budget / everybody) ** 0.5
    return candidates[_Greedy(part, weighted, start, mean_F).run(budget)]


def fisher_factors(logits: Tensor, *, exact: bool) -> Tensor:
    """Return the factor A of each image's Fisher information, A Aᵀ ⊗ φ φᵀ.

    Args:
        logits: Logits, shape (N, K) float64.
        exact: Whether A is the paper's, or that of the likeliest class against all others.

    Returns:
        (N, K, K), or (N, 1, 1) if not exact.
    """
    probs = logits.softmax(dim=1)
    if not exact:
        # p (1 − p) with 1 − p as the sum of the others, which keeps its precision for sure predictions.
        largest, likeliest = probs.max(dim=1, keepdim=True)
        others = probs.scatter(1, likeliest, 0).sum(dim=1, keepdim=True)
        return (largest * others).sqrt()[:, :, None]
    identity = torch.eye(probs.shape[1], dtype=probs.dtype, device=probs.device)
    return (identity - probs[:, :, None]) * probs[:, None, :].sqrt()


def fisher_sum(rows: Rows, factors: Tensor) -> Tensor:
    """Return Σ A Aᵀ ⊗ φ φᵀ over all images, shape (K·d, K·d) float64.

    Args:
        rows: Features, shape (N, d).
        factors: Factors A, shape (N, K, r).
    """
    classes, width = factors.shape[1], rows.shape[1]
    total = torch.zeros(classes, width, classes, width, dtype=torch.float64, device=factors.device)
    for span in spans(len(rows), BLOCK_ROWS):
        block = rows[span].double()
        weights = factors[span] @ factors[span].mT
        for first in range(classes):
            for second in range(first, classes):
                product = (block * weights[:, first, second, None]).T @ block
                total[first, :, second, :] += product
                if second > first:
                    total[second, :, first, :] += product
    return total.view(classes * width, classes * width)


class _Greedy:
    """Greedy additions and removals.

    Attributes:
        inverse: M⁻¹, shape (K·d, K·d) float64.
        S: Vᵀ M⁻¹ V of each candidate, shape (N, r, r) float64.
        R: Vᵀ M⁻¹ F M⁻¹ V of each candidate, shape (N, r, r) float64.
    """

    def __init__(self, rows: Rows, factors: Tensor, start: Tensor, mean_fisher: Tensor) -> None:
        device = device_of(rows)
        self.dtype = torch.float64 if len(rows) * rows.shape[1] <= DOUBLE_NUMBERS else torch.float32
        self.features = torch.empty(len(rows), rows.shape[1], dtype=self.dtype, device=device)
        for span in spans(len(rows), BLOCK_ROWS):
            self.features[span] = rows[span].to(self.dtype)
        self.factors = factors.to(device)
        self.fisher = mean_fisher
        self.inverse = torch.cholesky_inverse(torch.linalg.cholesky(start))
        self.identity = torch.eye(factors.shape[2], dtype=torch.float64, device=device)
        self.measure()

    def run(self, budget: int) -> Tensor:
        """Return the positions of the batch among the candidates, (b,) int64."""
        added: list[int] = []
        for _ in range(min(2 * budget, len(self.features))):
            gains = self.traces(sign=1)
            gains[added] = -torch.inf
            added.append(int(gains.argmax()))
            self.update(added[-1], sign=1)
        picks = torch.tensor(added, device=self.S.device)
        # Removals concern the picks alone; these are measured anew, in float64.
        self.features, self.factors, self.dtype = self.features[picks].double(), self.factors[picks], torch.float64
        self.measure()
        kept = torch.ones(len(picks), dtype=torch.bool, device=picks.device)
        for _ in range(len(picks) - budget):
            losses = self.traces(sign=-1).masked_fill(~kept, torch.inf)
            removed = int(losses.argmin())
            kept[removed] = False
            self.update(removed, sign=-1)
        return picks[kept]

    def measure(self) -> None:
        """Compute S and R of all candidates."""
        self.S, self.R = self.quadratic(self.inverse), self.quadratic(self.inverse @ self.fisher @ self.inverse)

    def traces(self, *, sign: int) -> Tensor:
        """Return tr(R (1 + sign · S)⁻¹) of all candidates, (N,)."""
        inner = self.identity + sign * self.S
        # 1 − S of an image whose information is part of M is positive definite.
        inverse = inner.reciprocal() if inner.shape[1] == 1 else torch.linalg.inv(inner)
        return (self.R * inverse.mT).sum(dim=(1, 2))

    def update(self, image: int, *, sign: int) -> None:
        """Add an image's information to M (sign 1), or remove it (sign −1)."""
        column = self.column(image)
        reached = self.inverse @ column
        # M⁻¹ becomes M⁻¹ − sign · B Bᵀ with B = M⁻¹ V (1 + sign · S)^(−1/2), here by its Cholesky factor.
        factor = torch.linalg.cholesky(self.identity + sign * (column.T @ reached))
        B = torch.linalg.solve_triangular(factor, reached.T, upper=False).T
        FB = self.fisher @ B
        C = self.projected(B)
        D = self.projected(self.inverse @ FB)
        E = B.T @ FB
        self.S -= sign * (C.mT @ C)
        cross = C.mT @ D
        self.R += C.mT @ E @ C - sign * (cross + cross.mT)
        self.inverse -= sign * (B @ B.T)

    def column(self, image: int) -> Tensor:
        """Return V = A ⊗ φ of an image, (K·d, r)."""
        phi = self.features[image].double()
        return (self.factors[image][:, None, :] * phi[None, :, None]).flatten(0, 1)

    def projected(self, matrix: Tensor) -> Tensor:
        """Return matrixᵀ V of each candidate: (N, s, r) for a matrix of shape (K·d, s)."""
        classes, width = self.factors.shape[1], self.features.shape[1]
        by_class = matrix.view(classes, width, -1).transpose(0, 1).flatten(1)
        products = (self.features @ by_class.to(self.dtype)).double()
        return products.view(len(products), classes, -1).mT @ self.factors

    def quadratic(self, matrix: Tensor) -> Tensor:
        """Return Vᵀ matrix V of each candidate, (N, r, r), for a symmetric matrix of shape (K·d, K·d)."""
        classes, width = self.factors.shape[1], self.features.shape[1]
        blocks = matrix.view(classes, width, classes, width)
        found = []
        for span in spans(len(self.features), BLOCK_ROWS):
            block, factors = self.features[span], self.factors[span]
            inner = torch.empty(len(block), classes, classes, dtype=torch.float64, device=block.device)
            for first in range(classes):
                for second in range(first, classes):
                    product = (block @ blocks[first, :, second, :].to(self.dtype) * block).sum(dim=1)
                    inner[:, first, second] = inner[:, second, first] = product
            found.append(factors.mT @ inner @ factors)
        return torch.cat(found)


def _is_exact(fisher: str, images: int, width: int, classes: int) -> bool:
    if fisher not in get_args(Fisher):
        raise UnknownNameError("form of the Fisher information", fisher, get_args(Fisher))
    dimensions = width * classes
    small = dimensions <= MOST_DIMENSIONS and images * max(dimensions, 16 * classes) ** 2 <= MOST_WORK
    return fisher == "exact" or (fisher == "auto" and small)


def _logits_of(rows: Rows, logits: Array, name: str) -> Tensor:
    values = as_dimensions(logits, "NK", name).to(device_of(rows)).double()
    check_same_length(values, rows, (name, "features"))
    check_finite(values, name)
    check_finite_rows(rows, "features")
    return values


def _drawn(count: int, most: int, generator: torch.Generator) -> Tensor:
    """Return all indices below `count`, or a uniform draw of `most` of them, ascending."""
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=generator)[:most].sort().values
