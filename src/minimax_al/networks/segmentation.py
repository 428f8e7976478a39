"""Discriminator and task model on feature maps: the paper's networks for segmentation (§3.2)."""

from typing import get_args

from torch import Tensor, nn

from minimax_al.errors import ConfigurationError
from minimax_al.networks.checks import check_choice, check_dropout, check_features, check_positive
from minimax_al.networks.cosine import CosineClassifier
from minimax_al.networks.discriminator import DiscriminatorInput, scaled
from minimax_al.networks.encoder import Encoder
from minimax_al.networks.logits import ConvLogits, LinearLogits, upsample_logits


class PixelDiscriminator(nn.Module):
    """Classifier of labelled versus unlabelled feature maps, of any height and width.

    Three 3×3 convolutions of stride 2 with ReLU, the mean over the remaining map, and one small linear layer. Its
    input is the map ℓ2-normalised over channels and divided by T, like the vectors of Eq. 3. It has no batch norm:
    labelled and unlabelled batches pass separately, and their statistics would distinguish them in training but not
    in scoring.

    Args:
        in_features: Channels d of the encoder's output.
        hidden: Channels of the three convolutions.
        temperature: Temperature T.
        reads: Input: the encoder's `features`, the output of the classifier's `bottleneck`, or `unnormalised` features,
            which are not divided by T either.

    Raises:
        ConfigurationError: A size or the temperature is not positive, or the input is unknown.
    """

    def __init__(
        self, in_features: int, hidden: int = 128, temperature: float = 0.05, reads: DiscriminatorInput = "features"
    ) -> None:
        super().__init__()
        check_positive(in_features=in_features, hidden=hidden, temperature=temperature)
        self.in_features = in_features
        check_choice("input of the discriminator", reads, get_args(DiscriminatorInput))
        self.temperature = temperature
        self.reads = reads
        self.convolutions = nn.Sequential(
            nn.Conv2d(in_features, hidden, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.head = LinearLogits(hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map a feature map to logits of being labelled.

        Args:
            features: Encoder's output, shape (B, d, h, w).

        Returns:
            Logits, shape (B,); positive means labelled.

        Raises:
            ShapeError: `features` are not (B, d, h, w).
        """
        check_features(features, self.in_features, spatial=True)
        maps: Tensor = self.convolutions(scaled(features, self.temperature, self.reads))
        logits_B1: Tensor = self.head(maps.mean(dim=(2, 3)))
        return logits_B1.squeeze(1)


class PixelTaskModel(nn.Module):
    """Encoder with a 1×1 convolution as its head, upsampled to the image's size (Algorithm 3).

    Args:
        encoder: Network that maps images to (B, d, h, w). It is not copied.
        num_classes: Number of classes K.
        dropout: Probability of dropping a channel of the whole map before the head: one draw of the head's weights
            per image, like dropout of features in `TaskModel`.
        head: Cosine classifier on maps; default a 1×1 convolution with bias.

    Attributes:
        encoder: Encoder.
        dropout: Dropout layer before the head.
        head: Last layer.

    Raises:
        ConfigurationError: The encoder is not spatial, or `num_classes` or `dropout` is out of range.
    """

    def __init__(
        self, encoder: Encoder, num_classes: int, dropout: float = 0.0, head: CosineClassifier | None = None
    ) -> None:
        super().__init__()
        check_positive(num_classes=num_classes)
        check_dropout(dropout)
        if encoder.output_stride is None:
            raise ConfigurationError(f"encoder {encoder.name!r} returns one feature vector per image: use TaskModel")
        self.encoder = encoder
        self.output_stride = encoder.output_stride
        self.dropout = nn.Dropout2d(dropout)
        self.head: nn.Module = ConvLogits(encoder.out_features, num_classes) if head is None else head

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, K, H, W)."""
        return self.classify(self.encoder(images), size=(images.shape[2], images.shape[3]))

    def classify(self, features: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:
        """Map a feature map (B, d, h, w) to logits (B, K, H, W); `size` as in `CosineClassifier`."""
        if isinstance(self.head, CosineClassifier):  # it upsamples by itself
            found: Tensor = self.head(self.dropout(features), size=size)
            return found
        logits: Tensor = self.head(self.dropout(features))
        return upsample_logits(logits, self.output_stride, size)
