"""The networks that a fit returns, and their outputs on a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from minimax_al.acquisition import entropy, pixel_entropy
from minimax_al.networks import MISSING_LOGIT, CosineClassifier, Encoder
from minimax_al.training.build import AnyDiscriminator, AnyTaskModel
from minimax_al.training.minimax import discriminator_inputs, image_size


@dataclass(frozen=True)
class Outputs:
    """Outputs of the networks that score, on one batch.

    Attributes:
        images: Normalised images, shape (B, 3, H, W), or feature vectors, shape (B, d).
        features: Encoder output, shape (B, d) or (B, d, h, w); float32 (float64 under fp64).
        logits: Logits, shape (B, K) or (B, K, H, W), of the same dtype.
        classifier: Cosine classifier that computed the logits; None for a linear last layer.
    """

    images: Tensor
    features: Tensor
    logits: Tensor
    classifier: CosineClassifier | None = None

    def entropy(self) -> Tensor:
        """Return the predictive entropy per image (for segmentation, the mean over pixels), (B,) in nats."""
        return pixel_entropy(self.logits) if self.logits.ndim == 4 else entropy(self.logits)

    def image_features(self) -> Tensor:
        """Return one vector per image, (B, d): for segmentation the mean over locations."""
        return self.features.mean(dim=(2, 3)) if self.features.ndim == 4 else self.features

    def last_layer_input(self) -> Tensor:
        """Return the input of the last layer, (B, e): the features, or unit vectors before the prototypes.

        The gradient of that layer's weights is `(p − e_y) ⊗ last_layer_input`; a cosine classifier's is divided by T.
        """
        if self.classifier is None:
            return self.features
        return self.classifier.directions(self.features).to(self.features.dtype)


@dataclass(frozen=True)
class Models:
    """Networks that a fit returns.

    Attributes:
        task_model: Task model M, which is evaluated and packaged.
        encoder: Encoder F of Minimax Active Learning; None under other trainings.
        classifier: Cosine classifier C of Minimax Active Learning; None under other trainings.
        discriminator: Discriminator D, where one was trained.
        others: Networks of particular methods, by name.
        history: Mean losses of every epoch, by training.
    """

    task_model: AnyTaskModel
    encoder: Encoder | None = None
    classifier: CosineClassifier | None = None
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
        """Return features and logits of the networks that score: C∘F where there is one, else M.

        Args:
            x: Images, shape (B, 3, H, W), or feature vectors, shape (B, d).
        """
        if self.encoder is None or self.classifier is None:
            return self.task_outputs(x)
        features = self.encoder(x)
        logits = self.classifier(features, size=image_size(x)).to(x.dtype)
        return Outputs(x, features.to(x.dtype), logits, self.classifier)

    def labelledness(self, outputs: Outputs) -> Tensor:
        """Return D's logits of being labelled for outputs of F and C, (B,)."""
        assert self.discriminator is not None, "the training had no discriminator"
        assert outputs.classifier is not None, "D reads the features of F"
        inputs = discriminator_inputs(self.discriminator, outputs.classifier, outputs.features)
        logits: Tensor = self.discriminator(inputs)
        return logits.to(outputs.features.dtype)

    def task_outputs(self, x: Tensor) -> Outputs:
        """Return features and logits of M on images (B, 3, H, W) or feature vectors (B, d)."""
        features = self.task_model.encoder(x)
        head = getattr(self.task_model, "head", None)
        cosine = head if isinstance(head, CosineClassifier) else None
        return Outputs(x, features.to(x.dtype), self.task_logits(features, x), cosine)

    @property
    def _last_layer_module(self) -> nn.Module | None:
        """Last layer of the networks that score: C, or the head of M."""
        head: nn.Module | None = getattr(self.task_model, "head", None)
        return head if self.classifier is None else self.classifier

    def last_layer(self, inputs: Tensor) -> Tensor:
        """Return the logits (B, K) that the networks that score give for inputs of their last layer (B, e)."""
        head = self._last_layer_module
        assert head is not None
        logits: Tensor = head.logits_of(inputs) if isinstance(head, CosineClassifier) else head(inputs)
        return logits.to(inputs.dtype)

    @property
    def last_layer_normalises(self) -> bool:
        """Whether the last layer divides its input by its length: C and cosine prototypes do."""
        head = self._last_layer_module
        return isinstance(head, CosineClassifier)

    def last_layer_parameters(self) -> tuple[Tensor, Tensor]:
        """Return V, (K, e), and b, (K,), for which V u + b are the logits of an input u of the last layer.

        A cosine classifier's prototypes are divided by T. It divides its inputs by their length, see
        `last_layer_normalises`: for other inputs than those of length 1 its logits are V u / ‖u‖ + b.
        """
        head = self._last_layer_module
        if not isinstance(head, CosineClassifier):
            assert isinstance(head, nn.Linear)
            return head.weight.detach(), head.bias.detach()
        weight = head.weight.detach() / head.temperature
        bias = weight.new_zeros(len(weight)) if head.bias is None else head.bias.detach()
        if head.present is None:
            return weight, bias
        missing = ~head.present
        return weight.masked_fill(missing[:, None], 0.0), bias.masked_fill(missing, MISSING_LOGIT)

    def task_logits(self, features: Tensor, x: Tensor) -> Tensor:
        """Return M's logits from its encoder's features of a batch x."""
        return self.task_model.classify(features, size=image_size(x)).to(x.dtype)
