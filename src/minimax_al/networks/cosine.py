"""The cosine classifier over class prototypes, C of the paper (Eq. 1 and 2)."""

from typing import Literal, get_args

from torch import Tensor, nn

from minimax_al.networks.checks import check_choice, check_features, check_positive
from minimax_al.networks.logits import LinearLogits
from minimax_al.networks.normalisation import l2_normalise
from minimax_al.networks.reversal import reverse_gradient

Reversal = Literal["after_bottleneck", "before_bottleneck"]
"""Where the gradient is reversed: whether the bottleneck moves with the encoder or with the prototypes."""


class CosineClassifier(nn.Module):
    """Logits from the angles between features and class prototypes.

    Eq. 1: `p(y|x) = softmax(W F(x) / (T ‖F(x)‖))`. The prototypes `W` (K rows) are not normalised and have no
    bias. With a bottleneck, `F(x)` first passes one linear layer with bias: the paper's counts of parameters
    say so. `bottleneck=None` is Eq. 1 to the letter.

    Args:
        in_features: d, the width of the encoder's output.
        num_classes: K.
        bottleneck: width of the linear layer before the normalisation, or None for none.
        temperature: T, by which the logits are divided.
        reversal: where `reverse=True` turns the gradient: "after_bottleneck" (the bottleneck moves with the
            encoder, as in minimax entropy for domain adaptation) or "before_bottleneck" (it moves with the
            prototypes). Without a bottleneck both are the same place.

    Attributes:
        bottleneck: the linear layer, or None.
        prototypes: the linear layer whose weight (K, bottleneck or d) holds the prototypes.

    Raises:
        ConfigurationError: a size or temperature that is not positive, or an unknown place of reversal.

    Example:
        >>> import torch
        >>> classifier = CosineClassifier(in_features=512, num_classes=100, bottleneck=256)
        >>> classifier(torch.randn(4, 512)).shape
        torch.Size([4, 100])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        bottleneck: int | None = 256,
        temperature: float = 0.05,
        reversal: Reversal = "after_bottleneck",
    ) -> None:
        super().__init__()
        check_positive(in_features=in_features, num_classes=num_classes, temperature=temperature)
        if bottleneck is not None:
            check_positive(bottleneck=bottleneck)
        check_choice("reversal", reversal, get_args(Reversal))
        self.in_features = in_features
        self.temperature = temperature
        self.reversal = reversal
        self.bottleneck = None if bottleneck is None else nn.Linear(in_features, bottleneck)
        self.prototypes = LinearLogits(bottleneck or in_features, num_classes, bias=False)

    def directions(self, features: Tensor, *, reverse: bool = False) -> Tensor:
        """Map features to the unit vectors u that meet the prototypes: `logits = u Wᵀ / T`.

        They are the input of the last layer: the gradient of the cross-entropy with respect to `W` is
        `(p − e_y) ⊗ u / T` for an image of class y.

        Args:
            features: (B, d), the encoder's output.
            reverse: turn the sign of the gradient that reaches the encoder.

        Returns:
            (B, bottleneck or d), of length 1, in the dtype of the prototypes; zero where there is no direction.

        Raises:
            ShapeError: `features` are not (B, d).
        """
        check_features(features, self.in_features)
        if reverse and self.reversal == "before_bottleneck":
            features = reverse_gradient(features)
        if self.bottleneck is not None:
            features = self.bottleneck(features)
        if reverse and self.reversal == "after_bottleneck":
            features = reverse_gradient(features)
        return l2_normalise(features.to(self.prototypes.weight.dtype))

    def forward(self, features: Tensor, *, reverse: bool = False) -> Tensor:
        """Map features to logits.

        Args:
            features: (B, d), the encoder's output.
            reverse: turn the sign of the gradient that reaches the encoder.

        Returns:
            Logits (B, K), already divided by T, in the dtype of the prototypes.

        Raises:
            ShapeError: `features` are not (B, d).
        """
        logits: Tensor = self.prototypes(self.directions(features, reverse=reverse))
        return logits / self.temperature

    def extra_repr(self) -> str:
        """The settings, for `print(classifier)`."""
        return f"temperature={self.temperature}, reversal={self.reversal!r}"
