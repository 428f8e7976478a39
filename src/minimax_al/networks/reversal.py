"""The gradient reversal layer: one pass trains the encoder and the classifier against each other."""

import torch
from torch import Tensor


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: object, x: Tensor) -> Tensor:
        return x.view_as(x)  # a new tensor, so that autograd calls `backward`

    @staticmethod
    def backward(_ctx: object, *grad_outputs: Tensor) -> Tensor:
        return grad_outputs[0].neg()


def reverse_gradient(x: Tensor) -> Tensor:
    """Return `x` unchanged; in the backward pass the gradient changes its sign.

    Placed between encoder and classifier, it lets one backward pass of `λ · mean Σ_k p_k log p_k` move the
    classifier towards higher entropy and the encoder towards lower (Algorithm 1, lines 8 and 9).

    Args:
        x: Tensor of any shape.

    Returns:
        View of `x` with the same shape, dtype and values.

    Example:
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> reverse_gradient(3 * x).sum().backward()
        >>> x.grad
        tensor([-3., -3.])
    """
    reversed_x: Tensor = _ReverseGradient.apply(x)
    return reversed_x
