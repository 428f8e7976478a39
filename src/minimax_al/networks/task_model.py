"""Task model, M of the paper: the network that a campaign delivers."""

from torch import Tensor, nn

from minimax_al.errors import ConfigurationError
from minimax_al.networks.checks import check_dropout, check_positive
from minimax_al.networks.encoder import Encoder
from minimax_al.networks.logits import LinearLogits

DROPOUT_LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class TaskModel(nn.Module):
    """Encoder with a linear head (Algorithm 3), or another head on vectors.

    Args:
        encoder: Network that maps samples to (B, d). It is not copied: pass a copy of F to start M from it.
        num_classes: Number of classes K.
        dropout: Probability of dropping a feature before the head; BALD needs it, all else leaves it at 0.
        head: Layer that maps (B, d) to logits (B, K); default a linear layer with bias.

    Attributes:
        encoder: Encoder.
        dropout: Dropout layer before the head.
        head: Last layer.

    Raises:
        ConfigurationError: The encoder is spatial, or `num_classes` or `dropout` is out of range.
    """

    def __init__(self, encoder: Encoder, num_classes: int, dropout: float = 0.0, head: nn.Module | None = None) -> None:
        super().__init__()
        check_positive(num_classes=num_classes)
        check_dropout(dropout)
        if encoder.output_stride is not None:
            raise ConfigurationError(
                f"encoder {encoder.name!r} returns one feature vector per location: use PixelTaskModel"
            )
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = LinearLogits(encoder.out_features, num_classes) if head is None else head

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, K)."""
        return self.classify(self.encoder(images))

    def classify(self, features: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:  # noqa: ARG002 - for maps
        """Map features (B, d), the encoder's output, to logits (B, K).

        With dropout before the head alone, many MC dropout passes need the encoder only once. The size of the image
        matters to `PixelTaskModel` alone.
        """
        logits: Tensor = self.head(self.dropout(features))
        return logits


def enable_mc_dropout(module: nn.Module) -> None:
    """Put dropout layers alone in training mode, for Monte Carlo dropout.

    `module.train()` would also change batch norm, which would normalise by each batch and overwrite its running
    statistics with those of the pool. `module.eval()` or `.train()` afterwards undoes it.

    Args:
        module: Network, changed in place.

    Raises:
        ConfigurationError: No dropout layer of the network drops anything, so all passes would agree.
    """
    active = [layer for layer in module.modules() if isinstance(layer, DROPOUT_LAYERS) and layer.p > 0]
    if not active:
        raise ConfigurationError(
            f"{type(module).__name__} has no dropout layer of p > 0 for MC dropout: build it with dropout=0.5"
        )
    module.eval()
    for layer in active:
        layer.train()
