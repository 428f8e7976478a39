"""Cold start: choice by the images alone, before labels and models.

Images are compared by the features of the campaign's pretrained encoder where it has one, else by their edges.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import torch
from sqlalchemy import Connection, select
from torch import Tensor
from torch.nn import functional as F

from minimax_al.acquisition import centroids, k_center_greedy, typicality
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.datasets import campaign_statistics
from minimax_al.campaign.features.hog import SIDE, edges, whitened
from minimax_al.campaign.features.pool_features import PoolFeatures
from minimax_al.campaign.features.recipes import read_recipe
from minimax_al.campaign.rounds.pool_filter import matches
from minimax_al.campaign.rounds.rounds import Choice, is_candidate
from minimax_al.campaign.store.history import current_labels
from minimax_al.campaign.store.schema import USABLE, items
from minimax_al.data import UNKNOWN, Dataset, Images
from minimax_al.data.datasets.files import load_images
from minimax_al.data.decoding.letterbox import FITS
from minimax_al.errors import ConfigurationError
from minimax_al.loop import ActiveLearner
from minimax_al.networks import Encoder, build_encoder
from minimax_al.report.reasons import reason_for
from minimax_al.strategies.pool_features import cold_models
from minimax_al.strategies.strategy_names import build_strategy
from minimax_al.training import Recipe, Runtime
from minimax_al.training.feed import evaluation_view
from minimax_al.vocabulary import Progress

_AT_ONCE = 256
_ON_IMAGES = ("centroids", "coverage", "typicality")


def choose_by_features(
    context: CampaignContext, strategy: str, budget: int, progress: Progress | None = None
) -> list[Choice]:
    """Choose unlabelled images that differ from the labelled ones.

    Args:
        context: Campaign.
        strategy: "centroids" (k-means), "typicality" (TypiClust) or "coverage" (k-center greedy); on stored features
            any of `minimax_al.strategies.usual.COLD_START`, with settings.
        budget: Number of images; fewer if the pool is smaller.
        progress: Callback of the images whose features are computed.

    Raises:
        UnreadableImageError: An image cannot be read any more.
        ConfigurationError: The recipe in the settings is invalid, or the encoder's weights are not available.
    """
    with context.store.reading() as connection:
        images = _images(connection, context.where)
    choose = _by_described_images if context.settings.features is None else _by_stored_features
    chosen = choose(context, strategy, images, min(budget, len(images.pool)), progress)
    return [Choice(image.id, reason_for(strategy, {}, len(images.pool))) for image in chosen]


def _by_stored_features(
    context: CampaignContext, strategy: str, images: "_Images", budget: int, progress: Progress | None
) -> list["_Image"]:
    """Choose by a strategy of the same name, on the features of the images that have any."""
    source = PoolFeatures(context)
    store = source.compute([*images.pool, *images.labelled], progress)
    aside = source.lacking([*images.pool, *images.labelled])
    pool, labelled = ([image for image in part if image.path not in aside] for part in images)
    ordered = [*labelled, *pool]
    features = store.features([image.content_hash for image in ordered], [image.path for image in ordered])
    unknown = torch.full((len(ordered),), UNKNOWN)
    nothing = torch.empty(0, dtype=torch.int64)
    # The classes do not matter: nothing is predicted.
    dataset = Dataset("campaign", "classification", ("a", "b"), features, unknown, features.subset(nothing), nothing)
    learner = ActiveLearner(
        dataset, build_strategy(strategy), read_recipe(context.settings), seed=context.settings.seed
    )
    if labelled:
        learner.teach(torch.arange(len(labelled)), torch.zeros(len(labelled), dtype=torch.int64))
    chosen = learner.strategy.query(learner.round, cold_models(learner.round), min(budget, len(pool)))
    return [ordered[index] for index in chosen.indices.tolist()]


def _by_described_images(
    context: CampaignContext, strategy: str, images: "_Images", budget: int, progress: Progress | None
) -> list["_Image"]:
    """Choose by the features of the recipe's pretrained encoder, or by edges."""
    if strategy not in _ON_IMAGES:
        raise ConfigurationError(
            f"strategy {strategy!r} chooses on the features of a pretrained encoder: use the recipe 'features', or one "
            f"of {', '.join(_ON_IMAGES)}, without settings"
        )
    recipe = read_recipe(context.settings)
    names = [image.path for part in images for image in part]
    features = (
        _by_encoder(context, recipe, names, progress) if recipe.pretrained else _by_edges(context, names, progress)
    )
    candidates, known = features[: len(images.pool)], features[len(images.pool) :]
    generator = torch.Generator().manual_seed(context.settings.seed)
    if strategy == "centroids":
        picked = centroids(candidates, budget, generator=generator, labelled=known if len(known) else None)
    elif strategy == "typicality":
        picked = typicality(candidates, budget, generator, known)
    else:
        first = None if len(known) else int(torch.randint(len(candidates), (), generator=generator))
        picked = k_center_greedy(candidates, budget, known, first=first)
    return [images.pool[index] for index in picked.tolist()]


class _Image(NamedTuple):
    id: int
    path: str
    content_hash: str


class _Images(NamedTuple):
    pool: list[_Image]
    labelled: list[_Image]


def _images(connection: Connection, where: str | None) -> _Images:
    """Return the images that may be chosen, and the labelled ones."""
    wanted = (
        select(items.c.id, items.c.path, items.c.content_hash)
        .where(is_candidate(), matches(where))
        .order_by(items.c.id)
    )
    labelled = [
        _Image(row.item_id, row.path, row.content_hash)
        for row in connection.execute(current_labels())
        if row.status in USABLE
    ]
    return _Images([_Image(*row) for row in connection.execute(wanted)], labelled)


def _by_edges(context: CampaignContext, names: Sequence[str], progress: Progress | None) -> Tensor:
    images = load_images(context.images, names, SIDE, FITS[context.settings.task])
    return whitened(_joined((edges(pixels) for pixels in _batches(images, _AT_ONCE, progress)), len(names)))


def _by_encoder(context: CampaignContext, recipe: Recipe, names: Sequence[str], progress: Progress | None) -> Tensor:
    fit = FITS[context.settings.task]
    images = load_images(context.images, names, context.settings.stored_size, fit)
    mean, std = campaign_statistics(context.store, images)
    task = context.settings.task
    encoder = build_encoder(recipe.encoder, recipe.stem, task=task, width=recipe.width, pretrained=recipe.pretrained)
    runtime = Runtime(recipe.runtime)
    network: Encoder = runtime.place(encoder).eval()

    def describe(pixels: Tensor) -> Tensor:
        with torch.inference_mode(), runtime.autocast():
            features = network(evaluation_view(pixels, recipe.augmentation, mean, std, runtime)).float()
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
