"""Networks alone: encoders, classifiers, discriminators, task models, autoencoder; no training."""

from minimax_al.networks.adapter import Adapter, AdapterKind
from minimax_al.networks.cosine import CosineClassifier, Reversal
from minimax_al.networks.counts import count_parameters, describe, published_counts
from minimax_al.networks.discriminator import Discriminator, DiscriminatorInput
from minimax_al.networks.encoder import Encoder, Stem
from minimax_al.networks.encoders import build_encoder, default_bottleneck, list_encoders, register_encoder
from minimax_al.networks.initialisation import initialise_xavier
from minimax_al.networks.logits import MISSING_LOGIT, LinearLogits
from minimax_al.networks.loss_prediction import LossPrediction, encoder_levels
from minimax_al.networks.module_encoder import ModuleEncoder, module_encoder
from minimax_al.networks.normalisation import l2_normalise
from minimax_al.networks.preprocessing import Preprocessing
from minimax_al.networks.pretrained import PretrainedEncoder, fingerprint, pretrained_encoder
from minimax_al.networks.published import (
    PublishedWeights,
    best_encoder,
    find_published,
    pretrained_encoders,
    published_preprocessing,
)
from minimax_al.networks.reversal import reverse_gradient
from minimax_al.networks.segmentation import PixelDiscriminator, PixelTaskModel
from minimax_al.networks.task_model import TaskModel, enable_mc_dropout
from minimax_al.networks.vae import VAE, LatentDiscriminator, VAEOutput, vae_loss
from minimax_al.vocabulary import Task

__all__ = [
    "MISSING_LOGIT",
    "VAE",
    "Adapter",
    "AdapterKind",
    "CosineClassifier",
    "Discriminator",
    "DiscriminatorInput",
    "Encoder",
    "LatentDiscriminator",
    "LinearLogits",
    "LossPrediction",
    "ModuleEncoder",
    "PixelDiscriminator",
    "PixelTaskModel",
    "Preprocessing",
    "PretrainedEncoder",
    "PublishedWeights",
    "Reversal",
    "Stem",
    "Task",
    "TaskModel",
    "VAEOutput",
    "best_encoder",
    "build_encoder",
    "count_parameters",
    "default_bottleneck",
    "describe",
    "enable_mc_dropout",
    "encoder_levels",
    "find_published",
    "fingerprint",
    "initialise_xavier",
    "l2_normalise",
    "list_encoders",
    "module_encoder",
    "pretrained_encoder",
    "pretrained_encoders",
    "published_counts",
    "published_preprocessing",
    "register_encoder",
    "reverse_gradient",
    "vae_loss",
]
