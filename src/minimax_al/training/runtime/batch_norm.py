"""Batch norm over the whole batch in a distributed run, where each rank holds a part of the batch.

torch's SyncBatchNorm supports CUDA only; `RankBatchNorm` runs on every device, in plain differentiable steps.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from minimax_al.errors import ConfigurationError
from minimax_al.training.runtime.ranks import sum_over_ranks

BATCH_NORM = _BatchNorm
"""Base class of all kinds of batch norm."""

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class RankBatchNorm(_BatchNorm):
    """Batch norm by the mean and variance over the images of all ranks; in evaluation mode, plain batch norm."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that nn.BatchNorm2d gives it
        """Normalise this rank's part (B, C, …) of a batch.

        Raises:
            ValueError: All ranks together have fewer than two values per channel, as in torch's batch norm.
        """
        if not self.training and self.running_mean is not None:
            return super().forward(input)
        values = input.float() if input.dtype in {torch.float16, torch.bfloat16} else input
        others = [0, *range(2, values.ndim)]
        shape = (1, -1, *[1] * (values.ndim - 2))
        # One message for all ranks' sums: Σx of each channel, then the number of values per channel.
        number = values.numel() // values.shape[1]
        own_count = values.new_full((1,), number)
        totals = sum_over_ranks(torch.cat([values.sum(others), own_count]))
        count, mean = totals[-1].detach(), totals[:-1] / totals[-1].detach()
        # On all ranks alike: fewer than two in all means fewer than two on each. A rank with more waits for no device.
        if number < 2 and count < 2:
            raise ValueError(f"batch norm needs two values per channel to train, and got {int(count)}")
        # A second message for the variance: squares of centred values lose no digits, as Σx² − n·mean² would.
        centred = values - mean.view(shape)
        variance = sum_over_ranks(centred.square().sum(others)) / count
        self._remember(mean.detach(), variance.detach(), count)
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        normalised = centred * scale.view(shape)
        if self.bias is not None:
            normalised = normalised + self.bias.view(shape)
        return normalised.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Move the running statistics towards this batch's, as torch's batch norm does."""
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        weight = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        # Running statistics hold the unbiased variance, Σ(x − mean)² / (count − 1).
        self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), weight)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - as above
        """Accept any number of dimensions."""


def normalise_over_ranks(module: nn.Module, device: torch.device) -> None:
    """Replace every plain batch norm of a network by batch norm over all ranks, in place.

    The new layers share the parameters and buffers of the old ones.

    Args:
        module: Network.
        device: Device on which the network will run; on CUDA, the layers are torch's own SyncBatchNorm.

    Raises:
        ConfigurationError: The network has another kind of batch norm.
    """
    for name, layer in list(module.named_modules()):
        if not isinstance(layer, _BatchNorm) or isinstance(layer, RankBatchNorm | nn.SyncBatchNorm):
            continue
        if type(layer) not in PLAIN or not name:
            raise ConfigurationError(
                f"{type(module).__name__} holds a {type(layer).__name__}, which cannot be normalised over several "
                "ranks: choose another encoder, or one device"
            )
        parent, _, child = name.rpartition(".")
        kind = nn.SyncBatchNorm if device.type == "cuda" else RankBatchNorm
        setattr(module.get_submodule(parent), child, _as_kind(layer, kind))


def _as_kind(layer: _BatchNorm, kind: type[_BatchNorm]) -> _BatchNorm:
    """Return a batch norm of another class that shares the parameters and buffers of `layer`."""
    features, affine, tracking = layer.num_features, layer.affine, layer.track_running_stats
    new = kind(features, layer.eps, layer.momentum, affine, tracking)
    for name, parameter in layer.named_parameters(recurse=False):
        setattr(new, name, parameter)
    for name, buffer in layer.named_buffers(recurse=False):
        setattr(new, name, buffer)
    return new.train(layer.training)
