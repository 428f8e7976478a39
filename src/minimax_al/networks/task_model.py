"""The task model, M of the paper: the network that is taken away in the end."""

from torch import Tensor, nn

from minimax_al.errors import ConfigurationError
from minimax_al.networks.checks import check_dropout, check_positive
from minimax_al.networks.encoder import Encoder
from minimax_al.networks.logits import LinearLogits

DROPOUT_LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class TaskModel(nn.Module):
    """An encoder with a plain linear head (Algorithm 3).

    Args:
        encoder: maps images to (B, d). It is used as it is, not copied: pass a copy of F to start M from it.
        num_classes: K.
        dropout: probability of dropping a feature before the head; BALD needs it, all else leaves it at 0.

    Attributes:
        encoder: the encoder.
        dropout: the dropout layer before the head.
        head: the linear layer, with bias.

    Raises:
        ConfigurationError: the encoder is spatial, or `num_classes` or `dropout` cannot be.
    """

    def __init__(self, encoder: Encoder, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        check_positive(num_classes=num_classes)
        check_dropout(dropout)
        if encoder.output_stride is not None:
            raise ConfigurationError(
                f"encoder {encoder.name!r} gives one feature vector a location: PixelTaskModel takes it"
            )
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = LinearLogits(encoder.out_features, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, K)."""
        return self.classify(self.encoder(images))

    def classify(self, features: Tensor) -> Tensor:
        """Map features (B, d), the encoder's output, to logits (B, K).

        With dropout before the head alone, many MC dropout passes need the encoder only once.
        """
        logits: Tensor = self.head(self.dropout(features))
        return logits


def enable_mc_dropout(module: nn.Module) -> None:
    """Put dropout layers in training mode and all else in evaluation mode, for Monte Carlo dropout.

    `module.train()` would do more harm than good: batch norm would normalise by each batch and overwrite its
    running statistics with those of the pool. `module.eval()` or `.train()` afterwards undoes it.

    Args:
        module: the network, changed in place.

    Raises:
        ConfigurationError: the network has no dropout layer that drops anything, so all passes would agree.
    """
    active = [layer for layer in module.modules() if isinstance(layer, DROPOUT_LAYERS) and layer.p > 0]
    if not active:
        raise ConfigurationError(
            f"{type(module).__name__} has no dropout layer of p > 0 for MC dropout: build it with dropout=0.5"
        )
    module.eval()
    for layer in active:
        layer.train()
