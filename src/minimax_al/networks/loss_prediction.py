"""Loss prediction module of learning loss (Yoo and Kweon 2019)."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from minimax_al.networks.checks import check_positive
from minimax_al.networks.encoder import Encoder
from minimax_al.networks.logits import LinearLogits

MOST_LEVELS = 4
"""Most levels of an encoder that the module reads: the last ones."""


class LossPrediction(nn.Module):
    """Predictor of an image's loss from several levels of features.

    Each level is averaged over locations and passes a linear layer and ReLU; another linear layer maps all of them to
    one number.

    Args:
        widths: Number of channels of each level.
        hidden: Width of the layer of each level.

    Raises:
        ConfigurationError: A width is not positive.

    Example:
        >>> predict = LossPrediction([64, 128])
        >>> predict([torch.randn(4, 64, 8, 8), torch.randn(4, 128)]).shape
        torch.Size([4])
    """

    def __init__(self, widths: Sequence[int], hidden: int = 128) -> None:
        super().__init__()
        check_positive(hidden=hidden, **{f"width of level {level}": width for level, width in enumerate(widths)})
        self.widths = tuple(widths)
        self.levels = nn.ModuleList(nn.Linear(width, hidden) for width in widths)
        self.last = LinearLogits(hidden * len(self.widths), 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Map levels, each (B, c, h, w) or (B, c), to predicted losses (B,)."""
        hidden = [
            layer(level.flatten(2).mean(dim=2) if level.ndim == 4 else level).relu()
            for layer, level in zip(self.levels, levels, strict=True)
        ]
        predicted: Tensor = self.last(torch.cat(hidden, dim=1))
        return predicted.squeeze(1)


def encoder_levels(encoder: Encoder, images: Tensor) -> tuple[list[Tensor], Tensor]:
    """Run an encoder; return the last map of each size and the features.

    An encoder without maps, such as a transformer, has one level: its features.

    Args:
        encoder: Encoder that is a sequence of layers.
        images: Normalised images, shape (B, 3, H, W).

    Returns:
        At most four levels, each (B, c, h, w), or the features as the only one; and the features.
    """
    x, maps = images, list[Tensor]()
    for layer in _layers(encoder):
        x = layer(x)
        # The last pooling only averages the level before it.
        if x.ndim != 4 or isinstance(layer, nn.AdaptiveAvgPool2d):
            continue
        if maps and maps[-1].shape[2:] == x.shape[2:]:
            maps.pop()  # a later map of the same size replaces it
        maps.append(x)
    return maps[-MOST_LEVELS:] or [x], x


def _layers(encoder: Encoder) -> Iterator[nn.Module]:
    """Yield the parts of an encoder; a trunk that is one `nn.Sequential`, such as VGG's, layer by layer."""
    trunks = [child for child in encoder.children() if type(child) is nn.Sequential]
    for child in encoder.children():
        if trunks == [child]:
            yield from child.children()
        else:
            yield child
