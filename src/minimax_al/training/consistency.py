"""Consistency under strong augmentation, in addition to the minimax entropy; not part of the paper.

FixMatch (Sohn et al. 2020), Eq. 4: where the model is confident about an unlabelled image, its prediction of a strongly
augmented copy should agree.
"""

import torch.nn.functional as F
from torch import Tensor

from minimax_al.training.runtime.ranks import ALONE, Mean


def consistency_loss(
    logits: Tensor, logits_strong: Tensor, threshold: float, mean: Mean = ALONE.mean
) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of strong views under the confident predictions of weak views.

    Args:
        logits: Logits of the images with the usual augmentation, shape (B, K); no gradient flows to them.
        logits_strong: Logits of their strongly augmented copies, shape (B, K).
        threshold: Smallest probability of the likeliest class for an image to count, in [0, 1].
        mean: Mean over this batch, or over all ranks' parts of it.

    Returns:
        The loss in nats, averaged over all images, and the share of images that counted; scalars.
    """
    confidences, pseudo_labels = logits.detach().softmax(dim=1).max(dim=1)
    sure = (confidences >= threshold).to(logits_strong.dtype)
    losses = F.cross_entropy(logits_strong, pseudo_labels, reduction="none")
    return mean(losses * sure), mean(sure)
