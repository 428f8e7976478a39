"""Softmax regression with a Gaussian prior, solved to convergence: the optimisation behind every head on features.

With rows z_i of features, classes y_i, label weights w_i of sum 1, prior means V₀ and unlabelled rows u,

    J(V, b) = Σ_i w_i · (−log softmax_{y_i}(V z_i + b)) + λ · mean_u H(softmax(V u + b)) + α/2 · ‖V − V₀‖²

V₀ = 0 gives L2-regularised multinomial logistic regression. Offsets o_i are added to the logits, which are then
o_i + V z_i + b: with o_i = V' z_i and V₀ = 0, the solution V is the difference from prototypes V'. For λ = 0 the
problem is strictly convex, so its optimum does not depend on the solver.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SoftmaxRegression:
    """One problem; every tensor has the same floating dtype, in which products are computed.

    Attributes:
        features: Labelled features, shape (L, p).
        targets: Their classes, shape (L,) int64 in 0..K−1.
        label_weights: Weight of each label, shape (L,), of sum 1.
        prior: Prior means V₀, shape (K, p).
        penalty: Precision α of the prior.
        bias: Whether there is a bias b; it has no prior.
        unlabelled: Unlabelled features, shape (U, p), or None.
        entropy_weight: Weight λ of the mean entropy of the unlabelled features.
        offset: Logits added to those of the labelled features, shape (L, K), or None.
        unlabelled_offset: Logits added to those of the unlabelled features, shape (U, K), or None.
    """

    features: Tensor
    targets: Tensor
    label_weights: Tensor
    prior: Tensor
    penalty: float
    bias: bool = False
    unlabelled: Tensor | None = None
    entropy_weight: float = 0.0
    offset: Tensor | None = None
    unlabelled_offset: Tensor | None = None

    def loss_and_gradient(self, weight: Tensor, bias: Tensor) -> tuple[float, Tensor, Tensor]:
        """Return J and its gradients with respect to V, (K, p), and b, (K,)."""
        log_probs = _log_probs(self.features, weight, bias, self.offset)
        picked = log_probs.gather(1, self.targets[:, None]).squeeze(1)
        loss = -(self.label_weights * picked).sum()
        # Slope of the loss with respect to the logits, (L, K): ∂(−log p_y)/∂logit_k = p_k − [k = y]
        slope = log_probs.exp()
        slope[torch.arange(len(slope)), self.targets] -= 1
        slope *= self.label_weights[:, None]
        gradient, bias_gradient = slope.T @ self.features, slope.sum(dim=0)
        if self.unlabelled is not None and self.entropy_weight > 0:
            log_probs = _log_probs(self.unlabelled, weight, bias, self.unlabelled_offset)
            probs = log_probs.exp()
            entropies = -(probs * log_probs).sum(dim=1, keepdim=True)
            # ∂H/∂logit_k = −p_k (log p_k + H)
            slope = probs * (log_probs + entropies) * (-self.entropy_weight / len(probs))
            loss = loss + self.entropy_weight * entropies.mean()
            gradient, bias_gradient = gradient + slope.T @ self.unlabelled, bias_gradient + slope.sum(dim=0)
        away = weight - self.prior
        loss = loss + 0.5 * self.penalty * away.square().sum()
        gradient = gradient + self.penalty * away
        return float(loss), gradient, bias_gradient

    def solve(self, *, iterations: int = 500, tolerance: float = 1e-7) -> tuple[Tensor, Tensor]:
        """Minimise J by L-BFGS from the prior.

        Args:
            iterations: Largest number of iterations.
            tolerance: Largest component of the gradient at which the solver stops.

        Returns:
            V, (K, p), and b, (K,), in the problem's dtype.
        """
        weight = self.prior.clone()
        bias = torch.zeros(len(weight), dtype=weight.dtype)
        # SciPy's L-BFGS-B spends most of its time on bounds that this problem does not have.
        optimizer = torch.optim.LBFGS(
            [weight, bias] if self.bias else [weight],
            max_iter=iterations,
            max_eval=4 * iterations,
            tolerance_grad=tolerance,
            tolerance_change=0,  # only the gradient decides that the optimum is reached
            history_size=10,
            line_search_fn="strong_wolfe",
        )

        def closure() -> float:
            loss, weight.grad, bias_gradient = self.loss_and_gradient(weight, bias)
            bias.grad = bias_gradient if self.bias else None
            return loss

        optimizer.step(closure)
        return weight, bias


def _log_probs(features: Tensor, weight: Tensor, bias: Tensor, offset: Tensor | None) -> Tensor:
    logits = torch.addmm(bias, features, weight.T)
    return torch.log_softmax(logits if offset is None else logits.add_(offset), dim=1)


def span(features: Tensor) -> Tensor | None:
    """Return an orthonormal basis (d, L) whose span holds the features (L, d); None where it would not be smaller."""
    return torch.linalg.qr(features.T).Q if len(features) < features.shape[1] else None
