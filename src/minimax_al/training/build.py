"""Building a round's networks: from the recipe, with Xavier weights that depend on the seed and the part alone."""

from contextlib import AbstractContextManager

import torch

from minimax_al.networks import (
    VAE,
    CosineClassifier,
    Discriminator,
    Encoder,
    LatentDiscriminator,
    PixelCosineClassifier,
    PixelDiscriminator,
    PixelTaskModel,
    TaskModel,
    build_encoder,
    default_bottleneck,
    initialise_xavier,
)
from minimax_al.training.minimax import MinimaxSettings
from minimax_al.training.round import Round
from minimax_al.training.seeding import seeded_globally

AnyClassifier = CosineClassifier | PixelCosineClassifier
AnyDiscriminator = Discriminator | PixelDiscriminator
AnyTaskModel = TaskModel | PixelTaskModel


def build_task_model(round_: Round, *, encoder: Encoder | None = None, dropout: float = 0.0) -> AnyTaskModel:
    """M: a given encoder, or one of Xavier weights, under a fresh head.

    A fresh encoder starts from the same weights as that round's F, whichever strategy asks.

    Args:
        round_: with recipe and seed.
        encoder: used as it is, not copied.
        dropout: before the head.
    """
    kind = PixelTaskModel if round_.dataset.task == "segmentation" else TaskModel
    encoder = encoder or _fresh_encoder(round_)
    with _library_draws(round_):
        model = kind(encoder, round_.dataset.num_classes, dropout)
    initialise_xavier(model.head, round_.generator("initialise", "head"))
    return model


def build_minimax_networks(
    round_: Round, settings: MinimaxSettings
) -> tuple[Encoder, AnyClassifier, AnyDiscriminator | None]:
    """F, C and, if the settings want one, D, with Xavier weights."""
    encoder = _fresh_encoder(round_)
    with _library_draws(round_):
        classifier = _classifier(round_, encoder, settings)
        discriminator = _discriminator(round_, encoder, settings) if settings.discriminator else None
    initialise_xavier(classifier, round_.generator("initialise", "classifier"))
    if discriminator is not None:
        initialise_xavier(discriminator, round_.generator("initialise", "discriminator"))
    return encoder, classifier, discriminator


def build_vaal_networks(round_: Round) -> tuple[VAE, LatentDiscriminator]:
    """VAAL's autoencoder for images as training sees them, and the discriminator on its codes."""
    settings, augmentation = round_.recipe.vaal, round_.recipe.augmentation
    side = augmentation.input_size or augmentation.crop
    with _library_draws(round_):
        vae = VAE((side, side) if side else round_.dataset.image_size, settings.latent, settings.widths)
        discriminator = LatentDiscriminator(settings.latent)
    initialise_xavier(vae, round_.generator("initialise", "vae"))
    initialise_xavier(discriminator, round_.generator("initialise", "latent discriminator"))
    return vae, discriminator


def _library_draws(round_: Round) -> AbstractContextManager[None]:
    """Inside, what a library draws globally for a new network's weights is the round's, and not the caller's.

    Xavier's rule draws most of them anew; a transformer's class token, which it does not cover, keeps what it got.
    """
    return seeded_globally(round_.generator("library").initial_seed(), torch.device("cpu"))


def _fresh_encoder(round_: Round) -> Encoder:
    recipe = round_.recipe
    with _library_draws(round_):
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


def _classifier(round_: Round, encoder: Encoder, settings: MinimaxSettings) -> AnyClassifier:
    task, classes = round_.dataset.task, round_.dataset.num_classes
    bottleneck = default_bottleneck(encoder.name, task) if settings.bottleneck == "auto" else settings.bottleneck
    shared = (encoder.out_features, classes, bottleneck, settings.temperature, settings.reversal)
    if encoder.output_stride is None:
        return CosineClassifier(*shared)
    return PixelCosineClassifier(*shared, output_stride=encoder.output_stride)


def _discriminator(round_: Round, encoder: Encoder, settings: MinimaxSettings) -> AnyDiscriminator:
    if round_.dataset.task == "segmentation":
        return PixelDiscriminator(encoder.out_features, temperature=settings.temperature)
    return Discriminator(encoder.out_features, settings.discriminator_hidden, settings.temperature)
