"""What a fit leaves behind: the networks, and how they look at a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from minimax_al.acquisition import entropy, pixel_entropy
from minimax_al.networks import Encoder
from minimax_al.training.build import AnyClassifier, AnyDiscriminator, AnyTaskModel


@dataclass(frozen=True)
class Outputs:
    """One batch as the networks that score see it.

    Attributes:
        images: (B, 3, H, W), normalised.
        features: (B, d), or (B, d, h, w); float32 (float64 under fp64).
        logits: (B, K), or (B, K, H, W); likewise.
        classifier: C where the logits are C's; None where they are M's.
    """

    images: Tensor
    features: Tensor
    logits: Tensor
    classifier: AnyClassifier | None = None

    def entropy(self) -> Tensor:
        """Predictive entropy an image (for segmentation, the mean over its pixels), (B,) in nats."""
        return pixel_entropy(self.logits) if self.logits.ndim == 4 else entropy(self.logits)

    def image_features(self) -> Tensor:
        """One vector an image, (B, d): for segmentation the mean over locations."""
        return self.features.mean(dim=(2, 3)) if self.features.ndim == 4 else self.features

    def last_layer_input(self) -> Tensor:
        """What the last layer multiplies, (B, e): M's features, or the unit vectors that meet C's prototypes.

        The gradient of that layer's weights is `(p − e_y) ⊗ last_layer_input`; C's is divided by T, too.
        """
        if self.classifier is None:
            return self.features
        return self.classifier.directions(self.features).to(self.features.dtype)


@dataclass(frozen=True)
class Models:
    """What a fit leaves behind.

    Attributes:
        task_model: M, the network that is evaluated and taken away.
        encoder: F where Minimax Active Learning trained one.
        classifier: C, likewise.
        discriminator: D, where one was trained.
        others: networks of single methods, by name.
        history: the mean losses of every epoch, by training.
    """

    task_model: AnyTaskModel
    encoder: Encoder | None = None
    classifier: AnyClassifier | None = None
    discriminator: AnyDiscriminator | None = None
    others: Mapping[str, nn.Module] = field(default_factory=dict)
    history: Mapping[str, list[dict[str, float]]] = field(default_factory=dict)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """All networks by name."""
        named = {
            "task_model": self.task_model,
            "encoder": self.encoder,
            "classifier": self.classifier,
            "discriminator": self.discriminator,
            **self.others,
        }
        return {name: network for name, network in named.items() if network is not None}

    def evaluating(self) -> "Models":
        """Put every network in evaluation mode."""
        for network in self.networks.values():
            network.eval()
        return self

    def outputs(self, x: Tensor) -> Outputs:
        """Features and logits of the networks that score: C∘F where there is one, else M.

        Args:
            x: images (B, 3, H, W).
        """
        if self.encoder is None or self.classifier is None:
            return self.task_outputs(x)
        features = self.encoder(x)
        logits = self.classifier(features, **_size(x, features)).to(x.dtype)
        return Outputs(x, features.to(x.dtype), logits, self.classifier)

    def task_outputs(self, x: Tensor) -> Outputs:
        """Features and logits of M on images (B, 3, H, W)."""
        features = self.task_model.encoder(x)
        return Outputs(x, features.to(x.dtype), self.task_logits(features, x))

    def task_logits(self, features: Tensor, x: Tensor) -> Tensor:
        """M's logits from its encoder's features on images x."""
        return self.task_model.classify(features, **_size(x, features)).to(x.dtype)


def _size(x: Tensor, features: Tensor) -> dict[str, tuple[int, int]]:
    """Pixel networks are told the size of the image, which upsampling alone does not know."""
    return {"size": (x.shape[2], x.shape[3])} if features.ndim == 4 else {}
