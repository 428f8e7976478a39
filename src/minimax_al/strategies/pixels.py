"""One value an image from a score that is defined a pixel."""

from collections.abc import Callable

from torch import Tensor


def as_samples(logits: Tensor) -> Tensor:
    """Logits with one row a sample: (B, K) as they are; (B, K, H, W) as (B·H·W, K), image after image."""
    return logits if logits.ndim == 2 else logits.movedim(1, -1).flatten(0, -2)


def image_mean(score: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """A score of logits, averaged over the pixels of each image where there are pixels.

    Args:
        score: (n, K) logits to (n,) values.
        logits: (B, K), or (B, K, H, W).

    Returns:
        (B,).
    """
    return score(as_samples(logits)).view(len(logits), -1).mean(dim=1)
