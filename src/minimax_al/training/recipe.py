"""The recipe: settings of networks and trainings, shared by all strategies of a comparison."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt

from minimax_al.data import Augmentation
from minimax_al.errors import ConfigurationError
from minimax_al.networks import Stem
from minimax_al.training.head_settings import FeatureSettings
from minimax_al.training.minimax import MinimaxSettings
from minimax_al.training.runtime.runtime import RuntimeSettings
from minimax_al.training.task import TaskSettings
from minimax_al.training.vaal import VaalSettings


def _check_encoder_name(value: object) -> object:
    if isinstance(value, str):
        return value
    raise ConfigurationError(
        f"encoder={type(value).__name__} is not a name: announce a function that builds your network in the "
        "entry-point group 'minimax_al.encoders' of your package, and give its name"
    )


class Recipe(BaseModel):
    """Settings of networks, augmentation and trainings; the defaults are the paper's for CIFAR-100.

    Attributes:
        encoder: Name of the backbone of F and M.
        stem: First layers of a ResNet: `imagenet` (7×7, stride 2, max-pool; the paper's) or `cifar` (3×3, stride 1).
        width: Channels of the encoders `conv4` and `dconv4`; None is their default.
        pretrained: Weights from which encoders start instead of Xavier's: true for those that their library publishes,
            or the path of a file (see `minimax_al.networks.build_encoder`).
        augmentation: Augmentation of training images.
        minimax: Settings of Algorithm 1 on images.
        task: Settings of Algorithm 3 and of every supervised training on images.
        vaal: Settings of VAAL's autoencoder and its discriminator.
        features: Settings of learning on features, where a data set's samples are feature vectors.
        scoring_batch_size: Samples per batch outside of training.
        missing_classes: `error` refuses to train while a class has no label, `warn` logs a warning and trains. Heads
            on features never predict a class without a label.
        runtime: Device and precision.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: Annotated[str, BeforeValidator(_check_encoder_name)] = "resnet18"
    stem: Stem = "imagenet"
    width: PositiveInt | None = None
    pretrained: bool | str = False
    augmentation: Augmentation = Field(default_factory=lambda: Augmentation(flip=True))
    minimax: MinimaxSettings = Field(default_factory=MinimaxSettings)
    task: TaskSettings = Field(default_factory=TaskSettings)
    vaal: VaalSettings = Field(default_factory=VaalSettings)
    features: FeatureSettings = Field(default_factory=FeatureSettings)
    scoring_batch_size: Annotated[int, Field(gt=0, lt=2**31)] = 512
    missing_classes: Literal["error", "warn"] = "error"
    runtime: RuntimeSettings = Field(default_factory=RuntimeSettings)
