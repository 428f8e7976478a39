"""Predictions of a trained model for images in any folder."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from minimax_al.data import Images
from minimax_al.data.datasets.files import load_images
from minimax_al.data.decoding.decode import Fit, read_size
from minimax_al.data.decoding.letterbox import in_place
from minimax_al.data.locations.location import Location, locate, relative_name, scan_images
from minimax_al.data.locations.scan import SetAside
from minimax_al.data.masks.mask_store import Mask
from minimax_al.deployment.trained import Trained
from minimax_al.durable import write_durably
from minimax_al.errors import DataError
from minimax_al.training import Runtime, RuntimeSettings
from minimax_al.training.extraction.preprocessed_images import PreprocessedImages
from minimax_al.training.feed import evaluation_view
from minimax_al.vocabulary import IGNORED, Progress


@dataclass(frozen=True)
class Prediction:
    """Prediction for one image.

    Attributes:
        path: Path of the image, relative to the folder.
        class_name: Likeliest class; None for masks.
        confidence: Probability of that class, in [0, 1]; for masks the mean over pixels.
        square: Class numbers of the square that the model sees, shape (S, S); None for classes.
        size: Height and width of the image; None if unknown.
        share: Side of that square, as a share of the square that the image became.
        fit: How the image became a square.
    """

    path: str
    class_name: str | None
    confidence: float
    square: Mask | None = None
    size: tuple[int, int] | None = None
    share: float = 1.0
    fit: Fit = "stretch"

    @property
    def mask(self) -> Mask | None:
        """Class numbers in the image's own size, 255 where the model saw nothing; computed at each access.

        None for classes; the square if the image's size is unknown.
        """
        if self.square is None or self.size is None:
            return self.square
        return in_place(self.square, self.size, self.share, IGNORED, self.fit)


@dataclass(frozen=True)
class Predictions:
    """Predictions for a folder.

    Attributes:
        images: Predictions, by path.
        set_aside: Files that cannot be used, with reasons.
    """

    images: tuple[Prediction, ...]
    set_aside: tuple[SetAside, ...]

    def write(self, out: Path) -> None:
        """Write classes as a CSV file `path,class,confidence`, or masks as a folder of PNG files.

        Args:
            out: CSV file, or folder of masks, in which the mask of an image PATH is PATH.png, in the image's size.
        """
        masks = [image for image in self.images if image.square is not None]
        for image in masks:
            content = io.BytesIO()
            Image.fromarray(np.asarray(image.mask, dtype=np.uint8)).save(content, format="PNG")
            write_durably(out / f"{relative_name(image.path)}.png", content.getvalue())
        if not masks:
            text = io.StringIO()
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(["path", "class", "confidence"])
            rows.writerows([p.path, p.class_name, f"{p.confidence:.6f}"] for p in self.images)
            write_durably(out, text.getvalue().encode())


def images_for(trained: Trained, folder: Location, paths: Sequence[str]) -> Images:
    """Return images as a trained model sees them, to be normalised.

    Args:
        trained: Trained model.
        folder: Location of images.
        paths: Names of the images in it.
    """
    if trained.source is None:
        return load_images(folder, paths, trained.stored_size, trained.fit, exact=True)
    return PreprocessedImages([folder / path for path in paths], paths, trained.source.preprocessing)


def predict_folder(trained: Trained, images: Location | Path | str, progress: Progress | None = None) -> Predictions:
    """Predict every image of a location.

    Args:
        trained: Trained model.
        images: Folder, manifest or URL.
        progress: Callback of the files checked so far.

    Raises:
        DataError: The folder does not exist, or no image in it can be read.
        CheckpointError: The model cannot read image files.
    """
    trained.check_reads_images()
    images = locate(images) if isinstance(images, Path | str) else images
    scan = scan_images(images, progress)
    if not scan.images:
        raise DataError(f"{str(images)!r} has no images that can be read ({len(scan.set_aside)} files were set aside)")
    found = predict(trained, images_for(trained, images, scan.images))
    if trained.task == "segmentation":
        found = (replace(one, size=read_size(images / one.path)[::-1]) for one in found)
    return Predictions(tuple(found), scan.set_aside)


def predict(trained: Trained, images: Images) -> Iterator[Prediction]:
    """Predict images, in their order.

    Args:
        trained: Trained model.
        images: Images as the model sees them, see `images_for`.
    """
    done = 0
    for probabilities in predict_probabilities(trained, images):
        yield from _of_batch(trained, images.names[done : done + len(probabilities)], probabilities)
        done += len(probabilities)


def predict_probabilities(trained: Trained, images: Images) -> Iterator[Tensor]:
    """Yield the probabilities of one batch of images after another, computed in float32.

    A model trained in bf16 is evaluated in float32 as well, so that its package, which has float32 weights, gives the
    same probabilities.

    Args:
        trained: Trained model.
        images: Images as the model sees them, see `images_for`.

    Yields:
        (B, K), or (B, K, S, S) for masks, float32 on the CPU.
    """
    runtime = Runtime(_runtime_settings(trained.recipe.runtime))
    model = runtime.place(trained.image_model).eval()
    for pixels in images.stream(torch.arange(len(images)).split(trained.recipe.scoring_batch_size)):
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            x = evaluation_view(pixels, trained.recipe.augmentation, trained.mean, trained.std, runtime)
            yield model(x).float().softmax(dim=1).cpu()


def _runtime_settings(settings: RuntimeSettings) -> RuntimeSettings:
    """Return the settings of a training for a prediction: one device of this machine, and float32."""
    here = {
        "devices": 1,
        "nodes": 1,
        "device": "cpu" if settings.device == "cpu" else "auto",
        "precision": "fp64" if settings.precision == "fp64" else "fp32",
    }
    return settings.model_copy(update=here)


def _of_batch(trained: Trained, names: Sequence[str], probabilities: Tensor) -> Iterator[Prediction]:
    confidence, predicted = probabilities.max(dim=1)
    for name, sure, answer in zip(names, confidence, predicted, strict=True):
        if answer.ndim == 0:
            yield Prediction(name, trained.class_names[int(answer)], float(sure))
        else:
            square = answer.to(torch.uint8).numpy()
            yield Prediction(name, None, float(sure.mean()), square, share=trained.share, fit=trained.fit)
