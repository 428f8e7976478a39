"""Settings of Algorithm 1, on images and on features."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from minimax_al.errors import ConfigurationError, invalid_setting
from minimax_al.networks import DiscriminatorInput, Reversal
from minimax_al.training.epochs import EpochSettings


class MinimaxSettings(EpochSettings):
    """Settings of Algorithm 1; the defaults are the paper's.

    Attributes:
        entropy_weight: Weight λ of the entropy term; 0 trains F and C on labelled images alone.
        temperature: Temperature T of the softmax and of D's input.
        bottleneck: Width of C's bottleneck; `auto` is the paper's for the encoder, None is Eq. 1 to the letter.
        reversal: Position of the gradient reversal, after C's bottleneck or before it.
        update: `alternating` takes a supervised step, then a minimax step, as Algorithm 1 lists them; `joint`
            takes one forward pass over both batches and one step on the summed loss.
        detach: Whether D's loss stops at F's features.
        discriminator: Whether D is trained.
        discriminator_hidden: Width of D's two hidden layers.
        encoder_rate: Learning rate α₁ of F; None is `learning_rate`.
        classifier_rate: Learning rate α₂ of C; None is `learning_rate`.
        discriminator_rate: Learning rate α₃ of D; None is `learning_rate`.
        imprint: Whether prototypes start as class means of normalised features; for classification.
        mask_missing: Whether classes without a label are left out of the losses and the predictions of C.
        classifier_entropy: `maximise` is the paper's game; `minimise` lets C follow F.
        warmup_steps: Number of steps of cross-entropy on labelled images alone before the game.
        carry_over: Whether F, C and D start from those of the last round instead of their first weights.
        adversary_weight: Weight of the loss by which F makes D classify every image as labelled, as in VAAL; 0 leaves
            it out.
        discriminator_input: Input of D: the `features` of F, the output of C's `bottleneck`, or `unnormalised`
            features.
        consistency_weight: Weight of FixMatch's consistency term on unlabelled images; the paper has none.
        consistency_threshold: Smallest probability at which C's prediction of an image counts in that term.
    """

    entropy_weight: NonNegativeFloat = 0.1
    temperature: PositiveFloat = 0.05
    bottleneck: PositiveInt | Literal["auto"] | None = "auto"
    reversal: Reversal = "after_bottleneck"
    update: Literal["alternating", "joint"] = "alternating"
    detach: bool = True
    discriminator: bool = True
    discriminator_hidden: PositiveInt = 512
    encoder_rate: PositiveFloat | None = None
    classifier_rate: PositiveFloat | None = None
    discriminator_rate: PositiveFloat | None = None
    imprint: bool = False
    mask_missing: bool = False
    classifier_entropy: Literal["maximise", "minimise"] = "maximise"
    warmup_steps: NonNegativeInt = 0
    carry_over: bool = False
    adversary_weight: NonNegativeFloat = 0.0
    discriminator_input: DiscriminatorInput = "features"
    consistency_weight: NonNegativeFloat = 0.0
    consistency_threshold: Annotated[float, Field(ge=0, le=1)] = 0.95

    @model_validator(mode="after")
    def _adversary_has_its_discriminator(self) -> Self:
        if self.adversary_weight > 0 and not self.detach:
            raise ConfigurationError(
                f"adversary_weight={self.adversary_weight!r} lets F play against D, and detach=False lets F help D: "
                "change one of the two"
            )
        return self

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return the settings with other values, validated.

        Raises:
            ConfigurationError: A setting does not exist, or a value is not allowed.
        """
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise invalid_setting(error, type(self), "minimax") from error

    def rate(self, name: str) -> float:
        """Return the learning rate of "encoder", "classifier" or "discriminator": α₁, α₂ or α₃."""
        rates = {
            "encoder": self.encoder_rate,
            "classifier": self.classifier_rate,
            "discriminator": self.discriminator_rate,
        }
        return rates[name] or self.learning_rate

    @property
    def learns_from_unlabelled(self) -> bool:
        """Whether F and C learn from unlabelled images."""
        return self.entropy_weight > 0 or self.consistency_weight > 0


def minimax_on_features() -> MinimaxSettings:
    """Return the settings of Algorithm 1 on features of a frozen encoder.

    Prototypes are imprinted and C is at most a tenth as fast as F: with an equal rate C leaves the class means before F
    has moved, which costs more than the entropy term gains.
    """
    return MinimaxSettings(
        epochs=10,
        steps_per_epoch=10,
        batch_size=64,
        schedule="cosine",
        update="joint",
        bottleneck=None,
        imprint=True,
        mask_missing=True,
        learning_rate=1e-4,
        classifier_rate=1e-5,
        discriminator_rate=1e-3,
        discriminator_hidden=256,
    )
