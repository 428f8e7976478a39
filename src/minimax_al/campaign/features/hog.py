"""Features of images without any training: positions and directions of their edges.

Histograms of gradient directions in cells (Dalal and Triggs 2005), whitened over the images at hand (PCA).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 64
"""Images are described at this size, in pixels."""

CELLS = 8
DIRECTIONS = 8
COMPONENTS = 64
_CONTRAST = 0.02  # of grey levels in [0, 1]: fainter edges count for less
_PART = 1 << 14  # rows
_FAINTEST = 1e-6  # of the largest variance: directions of less are rounding


def edges(pixels: Tensor) -> Tensor:
    """Return histograms of gradient directions, each cell normalised by the contrast around it.

    Args:
        pixels: Images, shape (B, 3, 64, 64), uint8.

    Returns:
        (B, 512) float32.
    """
    grey = pixels.float().mean(dim=1, keepdim=True) / 255
    difference = torch.tensor([[[[-1.0, 0.0, 1.0]]]], device=grey.device)
    along_x = F.conv2d(grey, difference, padding=(0, 1))
    along_y = F.conv2d(grey, difference.transpose(2, 3), padding=(1, 0))
    strength = (along_x.square() + along_y.square()).sqrt()
    position = torch.atan2(along_y, along_x).remainder(math.pi) * (DIRECTIONS / math.pi)
    below = position.floor()
    votes = torch.zeros(len(grey), DIRECTIONS, *grey.shape[2:], device=grey.device)
    for direction, share in ((below, 1 - (position - below)), (below + 1, position - below)):
        votes.scatter_add_(1, direction.long() % DIRECTIONS, strength * share)
    cells = F.adaptive_avg_pool2d(votes, CELLS)
    energy = cells.square().sum(dim=1, keepdim=True)
    around = F.avg_pool2d(F.pad(energy, (1, 1, 1, 1), mode="replicate"), 3, stride=1).sqrt()
    return (cells / (around + _CONTRAST)).flatten(1)


def whitened(features: Tensor) -> Tensor:
    """Return the strongest principal components at about equal variance, each row of length 1.

    With few images, directions of small variance are mostly noise, and they are scaled up less.

    Args:
        features: Features, shape (N, d), float32.

    Returns:
        (N, up to 64) float32; zeros where all rows are alike.
    """
    # A part at a time: a centred copy of a million rows would take as much memory as these.
    mean, parts = features.mean(dim=0), features.split(_PART)
    scatter = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    for part in parts:
        scatter += (part - mean).T @ (part - mean)
    variances, directions = torch.linalg.eigh(scatter / len(features))
    strongest, kept = variances[-1], variances[-COMPONENTS:] > _FAINTEST * variances[-1]
    if strongest <= 0:
        return torch.zeros(len(features), 1)
    deviations = (variances[-COMPONENTS:] + strongest * COMPONENTS / len(features)).sqrt()
    projection = (directions[:, -COMPONENTS:] / deviations)[:, kept].float()
    return F.normalize(torch.cat([(part - mean) @ projection for part in parts]))
