"""Xavier initialisation, reproducible from an explicit generator."""

import torch
from torch import nn

_WEIGHTED = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
_NORMALISING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm)


def initialise_xavier(module: nn.Module, generator: torch.Generator | None = None) -> None:
    """Initialise all weights of a network, in place.

    Convolutional and linear weights come from Glorot's uniform distribution, U(−a, a) with
    a = √(6 / (fan_in + fan_out)); their biases are 0; normalisation layers get scale 1, shift 0 and fresh
    running statistics. Parameters of other layers (a transformer's class token) do not change.

    Layers are drawn in the order of `module.modules()`, so one seed and one architecture give one network.
    Initialise before moving to a GPU: the CPU's generator then gives the same network on every device.

    Args:
        module: Network.
        generator: Source of random numbers; None for torch's global generator.

    Example:
        >>> first, second = nn.Linear(3, 2), nn.Linear(3, 2)
        >>> initialise_xavier(first, torch.Generator().manual_seed(0))
        >>> initialise_xavier(second, torch.Generator().manual_seed(0))
        >>> torch.equal(first.weight, second.weight)
        True
    """
    for layer in module.modules():
        if isinstance(layer, _WEIGHTED):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, _NORMALISING):
            layer.reset_parameters()
