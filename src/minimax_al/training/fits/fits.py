"""Fits of a round's networks: M alone; F, C and D, then M from F; VAAL's autoencoder."""

import logging
from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor

from minimax_al.errors import ConfigurationError, DataError
from minimax_al.networks import VAE, LatentDiscriminator
from minimax_al.training.build import (
    AnyTaskModel,
    build_minimax_networks,
    build_task_model,
    build_vaal_networks,
    imprint_prototypes,
    present_classes,
)
from minimax_al.training.fits.best_pass import with_best_pass
from minimax_al.training.heads.feature_fits import fit_head
from minimax_al.training.minimax import MinimaxTraining, WarmUp
from minimax_al.training.minimax_settings import MinimaxSettings
from minimax_al.training.models import Models
from minimax_al.training.round import Round
from minimax_al.training.task import TaskTraining
from minimax_al.training.vaal import VaalTraining
from minimax_al.vocabulary import IGNORED

logger = logging.getLogger(__name__)


def fit_supervised(round_: Round, *, dropout: float = 0.0) -> Models:
    """Train M on the labelled samples: from Xavier initialisation, or as a head on features.

    Every baseline of the paper is trained like this.

    Args:
        round_: Round with labels and recipe.
        dropout: Probability of dropping a feature before M's head.

    Returns:
        M, in evaluation mode.

    Raises:
        DataError: The labels cannot be trained on.
    """
    check_labels(round_)
    if round_.dataset.sample == "features":
        return fit_head(round_, dropout=dropout)
    task_model = build_task_model(round_, dropout=dropout)
    history = _train_task_model(round_, task_model)
    return Models(task_model, history={"task": history}).evaluating()


def fit_minimax(round_: Round, settings: MinimaxSettings | None = None, *, dropout: float = 0.0) -> Models:
    """Train F, C and D by Algorithm 1, then M from F by Algorithm 3.

    On features F is an adapter, and M a head on its output. When nothing is left unlabelled, F and C learn from labels
    alone.

    Args:
        round_: Round with labels and recipe.
        settings: Settings of Algorithm 1; default the recipe's for the kind of samples.
        dropout: Probability of dropping a feature before M's head.

    Returns:
        M, F, C and, if it was trained, D, in evaluation mode.

    Raises:
        DataError: The labels cannot be trained on.
        ConfigurationError: A setting does not suit the task or the samples.
    """
    check_labels(round_)
    settings = settings or round_.minimax
    if len(round_.unlabelled) == 0:
        nothing = {"entropy_weight": 0.0, "consistency_weight": 0.0, "discriminator": False}
        settings = settings.changed({**nothing, "adversary_weight": 0.0})
    consistent = settings.consistency_weight > 0
    if consistent and (round_.dataset.task == "segmentation" or round_.dataset.sample == "features"):
        raise ConfigurationError(
            f"minimax.consistency_weight={settings.consistency_weight!r} is for the classification of images, which "
            "strong augmentation changes; set it to 0 for segmentation and for features"
        )
    encoder, classifier, discriminator = build_minimax_networks(round_, settings)
    training = MinimaxTraining(encoder, classifier, discriminator, settings, round_.runtime)
    if settings.imprint:
        imprint_prototypes(round_, encoder, classifier, _without_prototype(round_, settings))
    warmup = _warm_up(round_, training) if settings.warmup_steps else {}

    def batches(epoch: int, steps: int) -> Iterator[tuple[Tensor, ...]]:
        return labelled_unlabelled(round_, "minimax", settings.batch_size, epoch, steps, twice=consistent)

    steps = settings.steps(len(round_.unlabelled) or len(round_.labelled))
    minimax = round_.train("minimax", training, settings, steps=steps, batches=batches)
    if round_.dataset.sample == "features":
        head = fit_head(round_, encoder=deepcopy(encoder), dropout=dropout)
        task_model, task = head.task_model, head.history["task"]
    else:
        task_model = build_task_model(round_, encoder=deepcopy(encoder), dropout=dropout)
        task = _train_task_model(round_, task_model)
    history = {**warmup, "minimax": minimax, "task": task}
    return Models(task_model, encoder, classifier, discriminator, history=history).evaluating()


def _warm_up(round_: Round, training: MinimaxTraining) -> dict[str, list[dict[str, float]]]:
    """Train F and C by cross-entropy alone, at a constant rate; return the losses by the training's name."""
    steps = training.settings.warmup_steps
    settings = training.settings.changed({"steps_per_epoch": steps, "total_steps": steps, "schedule": "constant"})

    def batches(epoch: int, steps: int) -> Iterator[tuple[Tensor, ...]]:
        return round_.labelled_batches("warm-up", settings.batch_size, epoch, steps)

    return {"warm-up": round_.train("warm-up", WarmUp(training), settings, steps=steps, batches=batches)}


def _without_prototype(round_: Round, settings: MinimaxSettings) -> Tensor:
    """Return the classes with a label whose prototype is not carried over from the last round, (K,) bool."""
    present = present_classes(round_)
    carried = round_.previous.get("classifier", {}) if settings.carry_over else {}
    if not carried:
        return present
    earlier = carried.get("present")
    return present & ~earlier.cpu() if earlier is not None else torch.zeros_like(present)


def _train_task_model(round_: Round, task_model: AnyTaskModel) -> list[dict[str, float]]:
    settings = round_.recipe.task

    def batches(epoch: int, steps: int) -> Iterator[tuple[Tensor, ...]]:
        return round_.labelled_batches("task", settings.batch_size, epoch, steps)

    training = with_best_pass(round_, TaskTraining(task_model, settings, round_.runtime), task_model)
    steps = settings.steps(len(round_.labelled))
    history = round_.train("task", training, settings, steps=steps, batches=batches)
    training.keep_best()
    return history


def labelled_unlabelled(
    round_: Round, name: str, batch_size: int, epoch: int, steps: int, *, twice: bool = False
) -> Iterator[tuple[Tensor, ...]]:
    """Yield one tuple per step: labelled samples, targets, unlabelled samples, and with `twice` strong copies."""
    labelled = round_.labelled_batches(name, batch_size, epoch, steps)
    if len(round_.unlabelled) == 0:
        return ((x, y, x) for x, y in labelled)
    if twice:
        views = round_.unlabelled_pairs(name, batch_size, epoch, steps)
        return ((x, y, *pair) for (x, y), pair in zip(labelled, views, strict=True))
    unlabelled = round_.unlabelled_batches(name, batch_size, epoch, steps)
    return ((x, y, u) for (x, y), u in zip(labelled, unlabelled, strict=True))


def check_labels(round_: Round) -> None:
    """Refuse labels that nothing can be learnt from, and warn of classes without a label.

    Raises:
        DataError: All pixels are void, fewer than two classes are labelled, or a class has no label and the recipe
            does not allow it.
    """
    labels = round_.targets[round_.labelled]
    present = set(labels.unique().tolist())
    if present == {IGNORED} and round_.dataset.task == "segmentation":
        raise DataError(f"all pixels of the {len(labels)} labelled images are void ({IGNORED}): label some of them")
    names = round_.dataset.class_names
    missing = [name for index, name in enumerate(names) if index not in present]
    if len(names) - len(missing) < 2:
        raise DataError(
            f"{len(labels)} labelled images show {len(names) - len(missing)} of {len(names)} classes: "
            "label images of at least two classes before training"
        )
    if missing:
        shown = ", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else "")
        sentence = f"{len(missing)} of {len(names)} classes have no label yet ({shown})"
        if round_.recipe.missing_classes == "error" and round_.dataset.task == "classification":
            raise DataError(
                f"{sentence}: label at least one image of each, or set missing_classes to 'warn' to train without them"
            )
        logger.warning("%s: they cannot be predicted in this round", sentence)


def fit_vaal(round_: Round) -> tuple[VAE, LatentDiscriminator, list[dict[str, float]]]:
    """Train VAAL's autoencoder and its discriminator on labelled and unlabelled images.

    Returns:
        Both networks in evaluation mode, and the losses of every epoch.
    """
    settings = round_.recipe.vaal
    vae, discriminator = build_vaal_networks(round_)

    def batches(epoch: int, steps: int) -> Iterator[tuple[Tensor, ...]]:
        pairs = labelled_unlabelled(round_, "vaal", settings.batch_size, epoch, steps)
        return ((x, unlabelled) for x, _, unlabelled in pairs)

    training = VaalTraining(vae, discriminator, settings, round_.runtime)
    steps = settings.steps(len(round_.unlabelled))
    history = round_.train("vaal", training, settings, steps=steps, batches=batches)
    return vae.eval(), discriminator.eval(), history
