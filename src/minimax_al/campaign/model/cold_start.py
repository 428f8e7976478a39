"""Choosing by the images alone, before labels and models: typical images, or images that cover all kinds.

The features of an image are those of the campaign's encoder if its recipe starts from published weights, else HOG.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import torch
from sqlalchemy import Connection, select
from torch import Tensor
from torch.nn import functional as F

from minimax_al.acquisition import k_center_greedy, typicality
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.images.letterbox import FITS
from minimax_al.campaign.model.datasets import campaign_statistics, load_images
from minimax_al.campaign.model.hog import SIDE, edges, whitened
from minimax_al.campaign.model.recipes import read_recipe
from minimax_al.campaign.rounds.reasons import reason_for
from minimax_al.campaign.rounds.rounds import Choice, is_candidate
from minimax_al.campaign.store.history import current_labels
from minimax_al.campaign.store.schema import items
from minimax_al.data import Images
from minimax_al.networks import Encoder, build_encoder
from minimax_al.training import Recipe, Runtime
from minimax_al.training.feed import seen
from minimax_al.vocabulary import Progress

_AT_ONCE = 256


def choose_by_features(
    context: CampaignContext, strategy: str, budget: int, progress: Progress | None = None
) -> list[Choice]:
    """Choose unlabelled images that are unlike the labelled ones.

    Args:
        context: Campaign.
        strategy: Name of the strategy, "typicality" (TypiClust) or "coverage" (k-center greedy).
        budget: Number of images; all if there are fewer.
        progress: Callback of the images whose features are computed.

    Raises:
        UnreadableImageError: An image cannot be read any more.
        ConfigurationError: The recipe in the settings is invalid.
    """
    recipe = read_recipe(context.settings)
    with context.store.reading() as connection:
        ids, paths, labelled = _images(connection)
    names = [*paths, *labelled]
    features = (
        _by_encoder(context, recipe, names, progress) if recipe.pretrained else _by_edges(context, names, progress)
    )
    pool, known, budget = features[: len(ids)], features[len(ids) :], min(budget, len(ids))
    generator = torch.Generator().manual_seed(context.settings.seed)
    if strategy == "typicality":
        picked = typicality(pool, budget, generator, known)
    else:
        first = None if len(known) else int(torch.randint(len(pool), (), generator=generator))
        picked = k_center_greedy(pool, budget, known, first=first)
    return [Choice(ids[index], reason_for(strategy, {}, len(ids))) for index in picked.tolist()]


def _images(connection: Connection) -> tuple[list[int], list[str], list[str]]:
    """Return ids and paths of the candidates, and paths of the labelled images."""
    wanted = select(items.c.id, items.c.path).where(is_candidate()).order_by(items.c.id)
    ids, paths = [], []
    for item, path in connection.execute(wanted):
        ids.append(item)
        paths.append(path)
    labelled = [row.path for row in connection.execute(current_labels()) if row.status in {"active", "duplicate"}]
    return ids, paths, labelled


def _by_edges(context: CampaignContext, names: Sequence[str], progress: Progress | None) -> Tensor:
    images = load_images(Path(context.settings.images), names, SIDE, FITS[context.settings.task])
    return whitened(_joined((edges(pixels) for pixels in _batches(images, _AT_ONCE, progress)), len(names)))


def _by_encoder(context: CampaignContext, recipe: Recipe, names: Sequence[str], progress: Progress | None) -> Tensor:
    fit = FITS[context.settings.task]
    images = load_images(Path(context.settings.images), names, context.settings.stored_size, fit)
    mean, std = campaign_statistics(context.store, images)
    task = context.settings.task
    encoder = build_encoder(recipe.encoder, recipe.stem, task=task, width=recipe.width, pretrained=recipe.pretrained)
    runtime = Runtime(recipe.runtime)
    network: Encoder = runtime.place(encoder).eval()

    def describe(pixels: Tensor) -> Tensor:
        with torch.inference_mode(), runtime.autocast():
            features = network(seen(pixels, recipe.augmentation, mean, std, runtime)).float()
        return F.normalize((features.mean(dim=(2, 3)) if features.ndim == 4 else features).cpu())

    batches = _batches(images, recipe.scoring_batch_size, progress)
    return _joined((describe(pixels) for pixels in batches), len(names))


def _joined(parts: Iterable[Tensor], rows: int) -> Tensor:
    """Return all parts in one tensor, without a second copy: for a million images it has some gigabytes."""
    waiting = iter(parts)
    first = next(waiting)
    joined = first.new_empty(rows, *first.shape[1:])
    done = 0
    for part in chain([first], waiting):
        joined[done : done + len(part)] = part
        done += len(part)
    return joined


def _batches(images: Images, size: int, progress: Progress | None) -> Iterator[Tensor]:
    done = 0
    for pixels in images.stream(torch.arange(len(images)).split(size)):
        yield pixels
        done += len(pixels)
        if progress is not None:
            progress("features", done, len(images), "images")
