"""The labelledness discriminator, D of the paper (Eq. 3)."""

from typing import Literal, get_args

from torch import Tensor, nn

from minimax_al.networks.checks import check_choice, check_features, check_positive
from minimax_al.networks.logits import LinearLogits
from minimax_al.networks.normalisation import l2_normalise

DiscriminatorInput = Literal["features", "bottleneck", "unnormalised"]
"""Vectors that a discriminator reads."""


class Discriminator(nn.Module):
    """Classifier of labelled versus unlabelled features: d → hidden → hidden → 1, with ReLU.

    Eq. 3: its input is `F(x) / ‖F(x)‖ · 1/T`, the encoder's normalised output, not the classifier's bottleneck. It
    normalises and scales by itself: callers pass `F(x)`, detached where only D is trained.

    Args:
        in_features: Width d of the encoder's output.
        hidden: Width of the two hidden layers.
        temperature: Temperature T.
        reads: Input: the encoder's `features`, the output of the classifier's `bottleneck`, or `unnormalised` features,
            which are not divided by T either.

    Raises:
        ConfigurationError: A size or the temperature is not positive, or the input is unknown.

    Example:
        >>> import torch
        >>> Discriminator(in_features=512)(torch.randn(4, 512)).shape
        torch.Size([4])
    """

    def __init__(
        self, in_features: int, hidden: int = 512, temperature: float = 0.05, reads: DiscriminatorInput = "features"
    ) -> None:
        super().__init__()
        check_positive(in_features=in_features, hidden=hidden, temperature=temperature)
        self.in_features = in_features
        check_choice("input of the discriminator", reads, get_args(DiscriminatorInput))
        self.temperature = temperature
        self.reads = reads
        self.layers = nn.Sequential(
            nn.Linear(in_features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            LinearLogits(hidden, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map features to logits of being labelled.

        Args:
            features: Encoder's output, shape (B, d).

        Returns:
            Logits (B,); positive means labelled. One axis, so that targets (B,) cannot broadcast to (B, B).

        Raises:
            ShapeError: `features` are not (B, d).
        """
        check_features(features, self.in_features)
        logits_B1: Tensor = self.layers(scaled(features, self.temperature, self.reads))
        return logits_B1.squeeze(1)


def scaled(features: Tensor, temperature: float, reads: DiscriminatorInput) -> Tensor:
    """Return the input of a discriminator's first layer: `F(x) / ‖F(x)‖ · 1/T`, or the features as they are."""
    return features if reads == "unnormalised" else l2_normalise(features) / temperature
