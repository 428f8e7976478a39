"""Consistency under strong augmentation, beside the minimax entropy: not the paper's, but what scarce labels gain from.

FixMatch (Sohn et al. 2020), Eq. 4: where the model is sure of an unlabelled image, it should say the same of a
strongly changed copy.
"""

import torch.nn.functional as F
from torch import Tensor

from minimax_al.training.ranks import ALONE, Mean


def consistency_loss(
    logits: Tensor, logits_strong: Tensor, threshold: float, mean: Mean = ALONE.mean
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the strong views under what the model says of the weak ones, where it is sure.

    Args:
        logits: of the images as training otherwise sees them, (B, K); no gradient flows to them.
        logits_strong: of their strongly changed copies, (B, K).
        threshold: least probability of the likeliest class for an image to count, in [0, 1].
        mean: over this batch, or over all ranks' parts of it.

    Returns:
        The loss in nats, averaged over all images, and the share of images that counted; scalars.
    """
    confidences, said = logits.detach().softmax(dim=1).max(dim=1)
    sure = (confidences >= threshold).to(logits_strong.dtype)
    losses = F.cross_entropy(logits_strong, said, reduction="none")
    return mean(losses * sure), mean(sure)
