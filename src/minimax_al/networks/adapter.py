"""The adapter: F of the paper where samples are the features of a frozen, pretrained encoder."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from minimax_al.networks.checks import check_choice, check_features, check_positive
from minimax_al.networks.encoder import Encoder
from minimax_al.networks.logits import LinearLogits

AdapterKind = Literal["identity", "linear", "hidden"]
"""Trained part of an adapter: nothing, a linear map, or one hidden layer."""


class Adapter(Encoder):
    """Map from feature vectors to feature vectors that starts as the identity.

    `identity` returns x, `linear` returns A x + b with A = I and b = 0 at first, `hidden` returns
    x + B relu(A x + a) + b with B = 0 and b = 0 at first, where x is the input less `centre`. So Algorithm 1 starts
    from the pretrained features. Layers compute in the dtype of their weights under autocast: a pass costs next to
    nothing, and rankings depend on it.

    Args:
        in_features: Width d of the feature vectors.
        kind: `identity`, `linear` or `hidden`.
        hidden: Width of the hidden layer of the kind `hidden`.

    Attributes:
        centre: Vector that is subtracted first, shape (d,); zero at first.

    Raises:
        ConfigurationError: A size is not positive.
        UnknownNameError: The kind is unknown.

    Example:
        >>> x = torch.randn(2, 5)
        >>> bool((Adapter(5, "hidden")(x) == x).all())
        True
    """

    centre: Tensor

    def __init__(self, in_features: int, kind: AdapterKind = "identity", hidden: int = 256) -> None:
        check_positive(in_features=in_features, hidden=hidden)
        check_choice("adapter", kind, get_args(AdapterKind))
        super().__init__("features", {}, in_features)
        self.kind = kind
        self.hidden = hidden
        self.register_buffer("centre", torch.zeros(in_features))
        self.map: nn.Module | None = None
        if kind == "linear":
            self.map = LinearLogits(in_features, in_features)
            nn.init.eye_(self.map.weight)
            nn.init.zeros_(self.map.bias)
        elif kind == "hidden":
            last = LinearLogits(hidden, in_features)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.map = nn.Sequential(LinearLogits(in_features, hidden), nn.ReLU(), last)

    def forward(self, features: Tensor) -> Tensor:
        """Map feature vectors (B, d) to feature vectors (B, d).

        Raises:
            ShapeError: `features` are not (B, d).
        """
        check_features(features, self.out_features)
        x = features.to(self.centre.dtype) - self.centre
        if self.map is None:
            return x
        mapped: Tensor = self.map(x)
        return mapped if self.kind == "linear" else x + mapped

    def extra_repr(self) -> str:
        """Return the settings, for `print(adapter)`."""
        return f"in_features={self.out_features}, kind={self.kind!r}"
