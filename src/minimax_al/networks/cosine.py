"""The cosine classifier over class prototypes, C of the paper (Eq. 1 and 2)."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from minimax_al.networks.checks import check_choice, check_features, check_positive
from minimax_al.networks.logits import MISSING_LOGIT, ConvLogits, LinearLogits, upsample_logits
from minimax_al.networks.normalisation import l2_normalise
from minimax_al.networks.reversal import reverse_gradient

_OPTIONAL = ("present", "origin", "bias")

Reversal = Literal["after_bottleneck", "before_bottleneck"]
"""Position of the gradient reversal, which decides whether the bottleneck moves with the encoder or the prototypes."""


class CosineClassifier(nn.Module):
    """Logits from the angles between features and class prototypes, of vectors or of every location of a map.

    Eq. 1: `p(y|x) = softmax(W F(x) / (T ‖F(x)‖))`. The prototypes `W` (K rows) are not normalised and have no
    bias. With a bottleneck, `F(x)` first passes one linear layer with bias, which the paper's parameter counts imply.
    `bottleneck=None` is Eq. 1 to the letter. On feature maps both layers are 1×1 convolutions, features are normalised
    over channels, and the logits are upsampled to the image's size (§3.2).

    Args:
        in_features: Width d of the encoder's output.
        num_classes: Number of classes K.
        bottleneck: Width of the layer before the normalisation; None leaves it out.
        temperature: Temperature T, by which the logits are divided.
        reversal: Position of the gradient reversal for `reverse=True`: "after_bottleneck" (the bottleneck moves with
            the encoder, as in minimax entropy for domain adaptation) or "before_bottleneck" (it moves with the
            prototypes). Without a bottleneck both are the same.
        output_stride: Pixels per step of the encoder's feature map; None for one vector per image.

    Attributes:
        bottleneck: Layer before the normalisation, or None.
        prototypes: Layer whose weight, shape (K, bottleneck or d), holds the prototypes.
        present: Classes that can be predicted, shape (K,) bool; None for all.
        origin: Vector that is subtracted from the features of images first, shape (d,); None for zero.
        bias: Log prior of each class, added to the logits, shape (K,); None for zero, which is Eq. 1.

    Raises:
        ConfigurationError: A size or temperature is not positive, or the reversal is unknown.

    Example:
        >>> classifier = CosineClassifier(in_features=512, num_classes=100, bottleneck=256)
        >>> classifier(torch.randn(4, 512)).shape
        torch.Size([4, 100])
        >>> classifier = CosineClassifier(in_features=512, num_classes=19, bottleneck=None, output_stride=8)
        >>> classifier(torch.randn(2, 512, 4, 6)).shape
        torch.Size([2, 19, 32, 48])
    """

    present: Tensor | None
    origin: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        bottleneck: int | None = 256,
        temperature: float = 0.05,
        reversal: Reversal = "after_bottleneck",
        *,
        output_stride: int | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_features=in_features, num_classes=num_classes, temperature=temperature)
        check_positive(bottleneck=1 if bottleneck is None else bottleneck)
        check_positive(output_stride=1 if output_stride is None else output_stride)
        check_choice("reversal", reversal, get_args(Reversal))
        self.in_features = in_features
        self.temperature = temperature
        self.reversal = reversal
        self.output_stride = output_stride
        width = bottleneck or in_features
        self.bottleneck: nn.Module | None = None
        self.prototypes: nn.Module
        if output_stride is None:
            self.bottleneck = None if bottleneck is None else nn.Linear(in_features, bottleneck)
            self.prototypes = LinearLogits(width, num_classes, bias=False)
        else:
            self.bottleneck = None if bottleneck is None else nn.Conv2d(in_features, bottleneck, kernel_size=1)
            self.prototypes = ConvLogits(width, num_classes, bias=False)
        for name in _OPTIONAL:
            self.register_buffer(name, None)

    @property
    def weight(self) -> nn.Parameter:
        """Prototypes, shape (K, bottleneck or d), or (K, bottleneck or d, 1, 1) on maps."""
        weight = self.prototypes.weight
        assert isinstance(weight, nn.Parameter)
        return weight

    def mask_missing(self, present: Tensor) -> None:
        """Exclude classes from the predictions.

        Args:
            present: Classes that keep their logits, shape (K,) bool.
        """
        self.register_buffer("present", None if bool(present.all()) else present.to(self.weight.device))

    def adjust(self, origin: Tensor | None, bias: Tensor | None) -> None:
        """Set the origin of the directions and the log prior of the classes; for vectors alone.

        Args:
            origin: Vector that is subtracted from features, shape (d,), or None.
            bias: Log prior, shape (K,), or None.
        """
        weight = self.weight
        self.register_buffer("origin", None if origin is None else origin.to(weight.device, weight.dtype))
        self.register_buffer("bias", None if bias is None else bias.to(weight.device, weight.dtype))

    def directions(self, features: Tensor, *, reverse: bool = False) -> Tensor:
        """Map features to the unit vectors u of which logits are made: `logits = u Wᵀ / T`.

        They are the input of the last layer: the gradient of the cross-entropy with respect to `W` is
        `(p − e_y) ⊗ u / T` for an image of class y.

        Args:
            features: Encoder output, shape (B, d) or (B, d, h, w).
            reverse: Whether the gradient that reaches the encoder changes its sign.

        Returns:
            (B, bottleneck or d), or (B, bottleneck or d, h, w), of length 1 over the second axis, in the dtype of the
            prototypes; zero for a zero vector.

        Raises:
            ShapeError: The shape of `features` does not fit.
        """
        check_features(features, self.in_features, spatial=self.output_stride is not None)
        if reverse and self.reversal == "before_bottleneck":
            features = reverse_gradient(features)
        if self.origin is not None:
            features = features.to(self.origin.dtype) - self.origin
        if self.bottleneck is not None:
            features = self.bottleneck(features)
        if reverse and self.reversal == "after_bottleneck":
            features = reverse_gradient(features)
        return l2_normalise(features.to(self.weight.dtype))

    def forward(self, features: Tensor, *, reverse: bool = False, size: tuple[int, int] | None = None) -> Tensor:
        """Map features to logits.

        Args:
            features: Encoder output, shape (B, d) or (B, d, h, w).
            reverse: Whether the gradient that reaches the encoder changes its sign.
            size: (H, W) of the image, for maps alone; None is (h, w) times the output stride.

        Returns:
            Logits (B, K), or (B, K, H, W), already divided by T, in the dtype of the prototypes.

        Raises:
            ShapeError: The shape of `features` does not fit.
        """
        logits = self._logits(self.directions(features, reverse=reverse))
        return logits if self.output_stride is None else upsample_logits(logits, self.output_stride, size)

    def logits_of(self, directions: Tensor) -> Tensor:
        """Normalise vectors of the prototypes' width, and map them to logits (B, K)."""
        return self._logits(l2_normalise(directions.to(self.weight.dtype)))

    def _logits(self, directions: Tensor) -> Tensor:
        logits: Tensor = self.prototypes(directions) / self.temperature
        if self.bias is not None:
            logits = logits + self.bias
        if self.present is not None:
            missing = ~self.present.view(-1, *[1] * (logits.ndim - 2))
            logits = logits.masked_fill(missing, MISSING_LOGIT)
        return logits

    def extra_repr(self) -> str:
        """Return the settings, for `print(classifier)`."""
        stride = "" if self.output_stride is None else f", output_stride={self.output_stride}"
        return f"temperature={self.temperature}, reversal={self.reversal!r}{stride}"

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: object) -> None:
        # A buffer that is None has no key; a saved one makes room for itself.
        for name in _OPTIONAL:
            saved = state_dict.get(f"{prefix}{name}")
            self.register_buffer(name, None if saved is None else torch.ones_like(saved))
        super()._load_from_state_dict(state_dict, prefix, *args)
