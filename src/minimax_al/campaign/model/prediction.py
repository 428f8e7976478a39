"""What a trained model says of images that may lie anywhere."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from minimax_al.campaign.images.letterbox import in_place
from minimax_al.campaign.images.mask_files import Mask
from minimax_al.campaign.model.datasets import load_images
from minimax_al.campaign.model.trained import Trained
from minimax_al.data import Images, scan_folder
from minimax_al.data.decode import Fit, read_size
from minimax_al.data.scan import Progress, SetAside
from minimax_al.durable import write_durably
from minimax_al.errors import DataError
from minimax_al.training import Runtime
from minimax_al.training.feed import seen
from minimax_al.vocabulary import IGNORED


@dataclass(frozen=True)
class Prediction:
    """What the model says of one image.

    Attributes:
        path: relative to the folder.
        class_name: the likeliest class; None for masks.
        confidence: its probability, in [0, 1]; for masks the mean over pixels.
        square: (S, S) class numbers of what the model sees; None for classes.
        size: (height, width) of the image; None where it is not known.
        share: side of that square, as a part of the square that the image became.
        fit: how the image became a square.
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
        """Class numbers in the image's own size, 255 where the model saw nothing; made anew when asked for.

        None for classes; the square where the image's size is not known.
        """
        if self.square is None or self.size is None:
            return self.square
        return in_place(self.square, self.size, self.share, IGNORED, self.fit)


@dataclass(frozen=True)
class Predictions:
    """What the model says of a folder.

    Attributes:
        images: one each, by path.
        set_aside: files that cannot be used, and why.
    """

    images: tuple[Prediction, ...]
    set_aside: tuple[SetAside, ...]

    def write(self, out: Path) -> None:
        """Write classes as a CSV file `path,class,confidence`, or masks as a folder of PNG files.

        Args:
            out: the file, or the folder of masks; there the mask of an image PATH is PATH.png, in its size.
        """
        masks = [image for image in self.images if image.square is not None]
        for image in masks:
            content = io.BytesIO()
            Image.fromarray(np.asarray(image.mask, dtype=np.uint8)).save(content, format="PNG")
            write_durably(out / f"{image.path}.png", content.getvalue())
        if not masks:
            text = io.StringIO()
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(["path", "class", "confidence"])
            rows.writerows([p.path, p.class_name, f"{p.confidence:.6f}"] for p in self.images)
            write_durably(out, text.getvalue().encode())


def predict_folder(trained: Trained, images: Path, progress: Progress | None = None) -> Predictions:
    """Predictions for every image below a folder.

    Args:
        trained: the model.
        images: the folder.
        progress: called now and then with (files checked, all files).

    Raises:
        DataError: there is no such folder, or no image in it.
    """
    scan = scan_folder(images, progress=progress)
    if not scan.images:
        raise DataError(f"{str(images)!r} has no images that can be read ({len(scan.set_aside)} files were set aside)")
    said = predict(trained, load_images(images, scan.images, trained.stored_size, trained.fit))
    if trained.task == "segmentation":
        said = (replace(one, size=read_size(images / one.path)[::-1]) for one in said)
    return Predictions(tuple(said), scan.set_aside)


def predict(trained: Trained, images: Images) -> Iterator[Prediction]:
    """Predictions for images, in their order.

    Args:
        trained: the model.
        images: squares of `trained.stored_size`, made as `trained.fit` says.
    """
    runtime = Runtime(trained.recipe.runtime)
    model = runtime.place(trained.model)
    batches = torch.arange(len(images)).split(trained.recipe.scoring_batch_size)
    for batch, pixels in zip(batches, images.stream(batches), strict=True):
        with torch.inference_mode(), runtime.autocast():
            x = seen(pixels, trained.recipe.augmentation, trained.mean, trained.std, runtime)
            probabilities = model(x).float().softmax(dim=1).cpu()
        names = [images.names[index] for index in batch.tolist()]
        yield from _of_batch(trained, names, probabilities)


def _of_batch(trained: Trained, names: Sequence[str], probabilities: Tensor) -> Iterator[Prediction]:
    confidence, predicted = probabilities.max(dim=1)
    for name, sure, said in zip(names, confidence, predicted, strict=True):
        if said.ndim == 0:
            yield Prediction(name, trained.class_names[int(said)], float(sure))
        else:
            square = said.to(torch.uint8).numpy()
            yield Prediction(name, None, float(sure.mean()), square, share=trained.share, fit=trained.fit)
