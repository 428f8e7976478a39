"""Unit-length features, for the cosine classifier and the discriminators."""

import torch
from torch import Tensor


def l2_normalise(features: Tensor) -> Tensor:
    """Divide each feature vector by its ℓ2 norm: `F(x) / ‖F(x)‖` of Eq. 1 and 3.

    A zero vector has no direction: it stays zero, and its gradient is zero. Dividing it by a small epsilon would
    multiply its gradient by a trillion. Vectors with NaN or infinite entries stay non-finite.

    Args:
        features: Features, shape (B, d) or (B, d, h, w), any float dtype.

    Returns:
        Tensor like `features` whose vectors have length 1 (or 0).

    Example:
        >>> l2_normalise(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    smallest = max(1e-12, torch.finfo(features.dtype).tiny)
    norm = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return torch.where(norm <= smallest, 0.0, features / norm.clamp_min(smallest))
