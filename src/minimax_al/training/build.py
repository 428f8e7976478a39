"""Networks of a round: built from the recipe, with Xavier weights that depend on the seed and the part alone."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from minimax_al.data import Features
from minimax_al.errors import ConfigurationError
from minimax_al.networks import (
    VAE,
    Adapter,
    CosineClassifier,
    Discriminator,
    Encoder,
    LatentDiscriminator,
    PixelDiscriminator,
    PixelTaskModel,
    TaskModel,
    build_encoder,
    default_bottleneck,
    initialise_xavier,
    l2_normalise,
)
from minimax_al.training.minimax import MinimaxSettings
from minimax_al.training.round import Round
from minimax_al.training.seeding import seeded_globally

AnyDiscriminator = Discriminator | PixelDiscriminator
AnyTaskModel = TaskModel | PixelTaskModel


def build_task_model(
    round_: Round, *, encoder: Encoder | None = None, dropout: float = 0.0, head: nn.Module | None = None
) -> AnyTaskModel:
    """Build M: a given encoder, or one with Xavier weights, under a fresh or a given head.

    A fresh encoder starts from the same weights as that round's F, for every strategy.

    Args:
        round_: Round with recipe and seed.
        encoder: Encoder of M, not copied; default a fresh one.
        dropout: Probability of dropping a feature before the head.
        head: Fitted head on vectors; default a linear layer with Xavier weights.
    """
    encoder = encoder or _fresh_encoder(round_)
    if head is not None:
        return TaskModel(encoder, round_.dataset.num_classes, dropout, head)
    classes, settings = round_.dataset.num_classes, round_.recipe.task
    with library_draws(round_):
        if settings.head == "cosine":
            model = cosine_task_model(encoder, classes, settings.temperature, dropout)
        elif round_.dataset.task == "segmentation":
            model = PixelTaskModel(encoder, classes, dropout)
        else:
            model = TaskModel(encoder, classes, dropout)
    initialise_xavier(model.head, round_.generator("initialise", "head"))
    if settings.carry_over and round_.dataset.sample == "images":
        load_previous(round_, {"task_model": model})
    return model


def cosine_task_model(encoder: Encoder, classes: int, temperature: float, dropout: float = 0.0) -> AnyTaskModel:
    """Build M with Eq. 1 as its head: prototypes on normalised features, without a bottleneck."""
    head = CosineClassifier(encoder.out_features, classes, None, temperature, output_stride=encoder.output_stride)
    if encoder.output_stride is None:
        return TaskModel(encoder, classes, dropout, head)
    return PixelTaskModel(encoder, classes, dropout, head)


def load_previous(round_: Round, networks: Mapping[str, nn.Module]) -> set[str]:
    """Load the weights that the last round's networks ended with, and return the names of those that had any.

    Masks of missing classes are this round's: they are not loaded.

    Args:
        round_: Round with the weights.
        networks: Networks by name, changed in place.

    Raises:
        ConfigurationError: The last round's network was another one.
    """
    loaded = set(networks) & set(round_.previous)
    for name in loaded:
        weights = {key: value for key, value in round_.previous[name].items() if key.rpartition(".")[2] != "present"}
        try:
            round_.runtime.place(networks[name]).load_state_dict(weights)
        except RuntimeError as error:
            raise ConfigurationError(
                f"the {name.replace('_', ' ')} of the last round is another network ({error}): carry_over needs the "
                "same settings in all rounds"
            ) from error
    return loaded


def build_minimax_networks(
    round_: Round, settings: MinimaxSettings
) -> tuple[Encoder, CosineClassifier, AnyDiscriminator | None]:
    """Build F, C and, if the settings ask for it, D, with Xavier weights; on features F is an adapter."""
    encoder = _fresh_encoder(round_)
    with library_draws(round_):
        classifier = _classifier(round_, encoder, settings)
        discriminator = _discriminator(round_, classifier, settings) if settings.discriminator else None
    initialise_xavier(classifier, round_.generator("initialise", "classifier"))
    if discriminator is not None:
        initialise_xavier(discriminator, round_.generator("initialise", "discriminator"))
    if settings.carry_over:
        networks: dict[str, nn.Module] = {"encoder": encoder, "classifier": classifier}
        load_previous(round_, networks if discriminator is None else {**networks, "discriminator": discriminator})
    if settings.mask_missing:
        classifier.mask_missing(present_classes(round_))
    return encoder, classifier, discriminator


def present_classes(round_: Round) -> Tensor:
    """Return which classes have a label, shape (K,) bool."""
    classes = round_.targets[round_.labelled].unique().long()
    present = torch.zeros(round_.dataset.num_classes, dtype=torch.bool)
    present[classes[classes < round_.dataset.num_classes]] = True
    return present


def imprint_prototypes(
    round_: Round, encoder: Encoder, classifier: CosineClassifier, classes: Tensor | None = None
) -> None:
    """Set the prototypes of the classes with labels to their means of normalised features (Qi et al. 2018).

    Args:
        round_: Round with the labelled images.
        encoder: Network F, on its device.
        classifier: Network C, on its device; its prototypes change in place.
        classes: Classes to imprint, shape (K,) bool; default those with a label.

    Raises:
        ConfigurationError: The task is segmentation.
    """
    if round_.dataset.task == "segmentation":
        raise ConfigurationError("minimax.imprint=True is for classification: set it to false for segmentation")
    training = encoder.training, classifier.training
    encoder.eval()
    classifier.eval()
    directions = round_.stream(lambda x: {"u": classifier.directions(encoder(x))}, round_.labelled)["u"]
    encoder.train(training[0])
    classifier.train(training[1])
    means = class_means(directions, round_.targets[round_.labelled], round_.dataset.num_classes)
    present = (present_classes(round_) if classes is None else classes).to(classifier.weight.device)
    with torch.no_grad():
        classifier.weight[present] = means.to(classifier.weight)[present]


def class_means(features: Tensor, targets: Tensor, classes: int, weights: Tensor | None = None) -> Tensor:
    """Return the direction of the mean feature of each class, of length 1 (0 for a class without features).

    Args:
        features: Unit vectors, shape (L, d).
        targets: Classes, shape (L,) int64.
        classes: Number of classes K.
        weights: Weight of each feature, shape (L,); default equal ones.

    Returns:
        (K, d) in the dtype of `features`.
    """
    sums = torch.zeros(classes, features.shape[1], dtype=torch.float64)
    # Summed in float64: the order of the labels must not show in the means.
    weighted = features.double() if weights is None else features.double() * weights.double()[:, None]
    sums.index_add_(0, targets, weighted)
    return l2_normalise(sums).to(features.dtype)


def build_vaal_networks(round_: Round) -> tuple[VAE, LatentDiscriminator]:
    """Build VAAL's autoencoder for images as training sees them, and the discriminator on its codes."""
    settings, augmentation = round_.recipe.vaal, round_.recipe.augmentation
    side = augmentation.input_size or augmentation.crop
    with library_draws(round_):
        vae = VAE((side, side) if side else round_.dataset.image_size, settings.latent, settings.widths)
        discriminator = LatentDiscriminator(settings.latent)
    initialise_xavier(vae, round_.generator("initialise", "vae"))
    initialise_xavier(discriminator, round_.generator("initialise", "latent discriminator"))
    return vae, discriminator


def library_draws(round_: Round) -> AbstractContextManager[None]:
    """Seed the global generators, from which libraries draw a new network's weights, by the round.

    Xavier's rule redraws most of them; a transformer's class token, which it does not cover, keeps these.
    """
    return seeded_globally(round_.generator("library").initial_seed(), torch.device("cpu"))


def _fresh_encoder(round_: Round) -> Encoder:
    recipe = round_.recipe
    if isinstance(round_.dataset.train, Features):
        return _adapter(round_, round_.dataset.train)
    with library_draws(round_):
        encoder = build_encoder(
            recipe.encoder,
            recipe.stem,
            task=round_.dataset.task,
            width=recipe.width,
            pretrained=recipe.pretrained,
        )
    if not recipe.pretrained:
        initialise_xavier(encoder, round_.generator("initialise", "encoder"))
    return encoder


def _adapter(round_: Round, pool: Features) -> Adapter:
    settings = round_.recipe.features
    with library_draws(round_):
        adapter = Adapter(pool.shape[1], settings.adapter, settings.adapter_hidden)
    centre_adapter(round_, adapter, pool)
    return adapter


def centre_adapter(round_: Round, adapter: Adapter, pool: Features) -> None:
    """Let an adapter subtract the mean of the pool, where the recipe asks for it."""
    if round_.recipe.features.centre:
        adapter.centre.copy_(pool_mean(pool))


def pool_mean(pool: Features, sample: int = 20_000) -> Tensor:
    """Return the mean feature vector of the pool, shape (d,), over at most `sample` evenly spaced rows.

    The pool keeps it: cross-validation fits many heads on one pool.
    """
    if pool.known_mean is None:
        pool.known_mean = _mean(pool, sample)
    return pool.known_mean


def _mean(pool: Features, sample: int) -> Tensor:
    rows = torch.linspace(0, len(pool) - 1, min(sample, len(pool))).round().long()
    total = sum((pool[block].double().sum(dim=0) for block in rows.split(4096)), start=torch.zeros(pool.shape[1]))
    return total / len(rows)


def _classifier(round_: Round, encoder: Encoder, settings: MinimaxSettings) -> CosineClassifier:
    task, classes = round_.dataset.task, round_.dataset.num_classes
    bottleneck = settings.bottleneck
    if bottleneck == "auto":
        bottleneck = None if isinstance(encoder, Adapter) else default_bottleneck(encoder.name, task)
    return CosineClassifier(
        encoder.out_features,
        classes,
        bottleneck,
        settings.temperature,
        settings.reversal,
        output_stride=encoder.output_stride,
    )


def _discriminator(round_: Round, classifier: CosineClassifier, settings: MinimaxSettings) -> AnyDiscriminator:
    reads, width = settings.discriminator_input, classifier.in_features
    if reads == "bottleneck":
        if classifier.bottleneck is None:
            raise ConfigurationError(
                "discriminator_input='bottleneck' needs a bottleneck, and the classifier has none: set "
                "minimax.bottleneck to a width, or discriminator_input to 'features'"
            )
        width = classifier.weight.shape[1]
    if round_.dataset.task == "segmentation":
        return PixelDiscriminator(width, temperature=settings.temperature, reads=reads)
    return Discriminator(width, settings.discriminator_hidden, settings.temperature, reads)
