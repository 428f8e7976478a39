"""Data set of a campaign: its images and labels, as the loop learns from them."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from sqlalchemy import select
from torch import Tensor

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.features.training_data import LabelledImage, TrainingData
from minimax_al.campaign.features.unlabelled_images import UnlabelledImage, hashes_of, paths_of
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.schema import settings as settings_table
from minimax_al.data import UNKNOWN, Dataset, Features, Images, image_statistics
from minimax_al.data.datasets.files import load_images
from minimax_al.data.decoding.letterbox import FITS
from minimax_al.data.features.feature_store import FeatureStore
from minimax_al.data.masks.mask_store import Mask
from minimax_al.data.tables.packed_texts import PackedTexts
from minimax_al.vocabulary import Color

_STATISTICS = "image_statistics"


def build_dataset(context: CampaignContext, training_data: TrainingData) -> Dataset:
    """Return the data set: labelled images in the order of labelling, then unlabelled ones; held-out ones to test on.

    Raises:
        UnreadableImageError: An image cannot be read any more.
    """
    settings, images = context.settings, context.images
    size, fit = settings.stored_size, FITS[settings.task]
    paths = [known.path for known in training_data.labelled] + [unknown.path for unknown in training_data.unlabelled]
    train = load_images(images, paths, size, fit)
    mean, std = campaign_statistics(context.store, train)
    unknown = len(training_data.unlabelled)
    return Dataset(
        name="campaign",
        task=settings.task,
        class_names=training_data.class_names,
        train=train,
        train_targets=_targets(context, training_data.labelled, unknown),
        test=load_images(images, [one.path for one in training_data.held_out], size, fit, exact=True),
        test_targets=_targets(context, training_data.held_out, 0),
        mean=mean,
        std=std,
    )


def build_feature_dataset(training_data: TrainingData, store: FeatureStore) -> Dataset:
    """Build the data set of a campaign on features, in the order of `build_dataset`.

    Args:
        training_data: Training data; every image has features.
        store: Features of the pool.
    """

    def features(*parts: Sequence[LabelledImage | UnlabelledImage]) -> Features:
        hashes = np.concatenate([hashes_of(part) for part in parts])
        return store.features(hashes, PackedTexts(path for part in parts for path in paths_of(part)))

    known = torch.tensor([known.target for known in training_data.labelled], dtype=torch.int64)
    targets = torch.cat([known, torch.full((len(training_data.unlabelled),), UNKNOWN)])
    return Dataset(
        name="campaign",
        task="classification",
        class_names=training_data.class_names,
        train=features(training_data.labelled, training_data.unlabelled),
        train_targets=targets,
        test=features(training_data.held_out),
        test_targets=torch.tensor([known.target for known in training_data.held_out], dtype=torch.int64),
    )


def _targets(context: CampaignContext, known: Sequence[LabelledImage], unknown: int) -> Tensor:
    if context.settings.task == "classification":
        return torch.tensor([one.target for one in known] + [UNKNOWN] * unknown, dtype=torch.int64)
    size, masks = context.settings.stored_size, context.masks
    targets = torch.full((len(known) + unknown, size, size), 255, dtype=torch.uint8)
    for position, one in enumerate(known):
        targets[position] = torch.from_numpy(_stretched(masks.load(str(one.mask)), size))
    return targets


def _stretched(mask: Mask, size: int) -> Mask:
    """Return a mask stretched as its image is, by the nearest class number."""
    return np.array(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST))


def campaign_statistics(store: Store, images: Images) -> tuple[Color, Color]:
    """Return mean and standard deviation of the images, measured once for all models of the campaign."""
    found = select(settings_table.c.value).where(settings_table.c.key == _STATISTICS)
    with store.reading() as connection:
        value = connection.execute(found).scalar()
    if value is None:
        measured = image_statistics(images)
        with store.writing() as connection:
            value = connection.execute(found).scalar()
            if value is None:
                value = [list(colour) for colour in measured]
                connection.execute(settings_table.insert().values(key=_STATISTICS, value=value))
    mean, std = (tuple(colour) for colour in value)
    return mean, std
