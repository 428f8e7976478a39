"""Evaluation of a trained model on a test set of the user's own. Loads torch."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from minimax_al.campaign.answers.validation import held_out_groups
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.images.fingerprints import content_hash
from minimax_al.campaign.model.measuring import miou_interval
from minimax_al.campaign.progress.evaluation_result import ClassResult, EvaluationResult
from minimax_al.campaign.progress.headline import wilson_interval
from minimax_al.campaign.store.history import current_labels
from minimax_al.data import Images
from minimax_al.data.decoding.decode import read_size
from minimax_al.data.decoding.letterbox import in_place
from minimax_al.data.locations.scan import SetAside, sort_out
from minimax_al.data.masks.mask_store import Mask, MaskFiles
from minimax_al.deployment.prediction import images_for, predict_probabilities
from minimax_al.deployment.trained import Trained
from minimax_al.durable import write_durably
from minimax_al.errors import ConfigurationError, DataError
from minimax_al.label_formats import Context, Given, check_source, detect_format, read_labels
from minimax_al.training.segmentation_metrics import class_iou, confusion_matrix, mean_iou
from minimax_al.vocabulary import IGNORED

_NO_MASKS = MaskFiles(Path())  # formats that are read here keep no masks
_AT_ONCE = 64  # images whose pixels are in memory together


@dataclass(frozen=True)
class _Case:
    """Test image with its true answer."""

    file: Path
    name: str
    class_name: str | None = None
    mask: Mask | None = None


class EvaluatedImage(NamedTuple):
    """Prediction for one test image, in classification.

    Attributes:
        path: Path of the image.
        class_name: True class.
        predicted: Predicted class.
        confidence: Probability of the predicted class, in [0, 1].
    """

    path: str
    class_name: str
    predicted: str
    confidence: float


def evaluate_test_set(
    context: CampaignContext, trained: Trained, source: Path, masks: Path | None = None
) -> tuple[EvaluationResult, list[EvaluatedImage]]:
    """Measure a model on labelled images that its campaign does not have.

    Args:
        context: Campaign of the model; its training images among the test images are counted.
        trained: Model.
        source: For classes, a folder of class folders, or a CSV or Parquet file of paths and labels; for masks, a
            folder of images.
        masks: Folder of masks, for a model of masks.

    Returns:
        Result, and one prediction per image (none for masks).

    Raises:
        DataError: No test image is usable, the file of an image is missing, or a label is unknown to the model.
        ConfigurationError: Masks are missing for a segmentation model, or given to a classification model.
    """
    cases = list(_read_cases(trained, source, masks))
    usable, set_aside = sort_out([case.file for case in cases], [case.name for case in cases])
    if not usable:
        why = f": {set_aside[0].path!r}: {set_aside[0].reason}" if set_aside else ""
        raise DataError(f"{str(source)!r} has no test image with a label that can be read{why}")
    kept = [cases[position] for position in usable]
    seen = _count_trained_on(context, kept)
    if trained.task == "segmentation":
        return _evaluate_masks(trained, kept, str(source), set_aside, seen=seen, seed=context.settings.seed), []
    return _evaluate_classes(trained, kept, str(source), set_aside, seen)


def write_predictions(out: Path, predictions: Sequence[EvaluatedImage]) -> None:
    """Write test predictions as a CSV file, wrong ones first, the most confident first.

    Args:
        out: CSV file.
        predictions: Predictions of `evaluate_test_set`.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["path", "label", "predicted", "confidence"])
    ordered = sorted(predictions, key=lambda one: (one.class_name == one.predicted, -one.confidence, one.path))
    rows.writerows([one.path, one.class_name, one.predicted, f"{one.confidence:.6f}"] for one in ordered)
    write_durably(out, text.getvalue().encode())


def _read_cases(trained: Trained, source: Path, masks: Path | None) -> Iterator[_Case]:
    if trained.task == "segmentation":
        yield from _read_mask_cases(trained, source, masks)
        return
    if masks is not None:
        raise ConfigurationError("masks were given, but this campaign's model predicts classes: leave them out")
    name = detect_format(source, "classification")
    check_source(source, name)
    context = Context("classification", trained.class_names, source if source.is_dir() else source.parent, _NO_MASKS)
    known = set(trained.class_names)
    for given in read_labels(name, source, context):
        if given.unsure or given.class_name is None:
            continue
        if given.class_name not in known:
            raise DataError(
                f"{given.where}: {given.class_name!r} is not a class of the model, whose classes are "
                f"{', '.join(trained.class_names)}: correct the label, or train on labels of this class first"
            )
        file = given.file if given.file is not None else source.parent / given.name
        if not file.is_file():
            raise DataError(f"{given.where}: the image {given.name!r} is not there: give paths relative to the file")
        yield _Case(file, _name_of(file, source), given.class_name)


def _read_mask_cases(trained: Trained, source: Path, masks: Path | None) -> Iterator[_Case]:
    if masks is None:
        raise ConfigurationError("this campaign's model predicts masks: give the folder of true masks, too (--masks)")
    check_source(masks, "masks")

    def size_of(given: Given) -> tuple[int, int]:
        width, height = read_size(_image_of(source, given))
        return height, width

    context = Context("segmentation", trained.class_names, source, _NO_MASKS, size_of)
    for given in read_labels("masks", masks, context):
        file = _image_of(source, given)
        yield _Case(file, _name_of(file, source), mask=given.mask)


def _image_of(source: Path, given: Given) -> Path:
    """Return the image of a mask, whose name may lack the image's ending."""
    if (source / given.name).is_file():
        return source / given.name
    found = sorted((source / given.name).parent.glob(f"{Path(given.name).name}.*"))
    if len(found) != 1:
        raise DataError(
            f"{given.where}: {len(found)} images in {str(source)!r} have the name {given.name!r}: leave one"
        )
    return found[0]


def _name_of(file: Path, source: Path) -> str:
    root = source if source.is_dir() else source.parent
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix()


def _count_trained_on(context: CampaignContext, cases: Sequence[_Case]) -> int:
    """Return the number of test images that are copies of images that the campaign trains on."""
    with context.store.reading() as connection:
        held_out = held_out_groups(connection)
        hashes = {row.content_hash for row in connection.execute(current_labels()) if row.group_id not in held_out}
    return sum(content_hash(case.file) in hashes for case in cases) if hashes else 0


def _evaluate_classes(
    trained: Trained, cases: Sequence[_Case], source: str, set_aside: Sequence[SetAside], seen: int
) -> tuple[EvaluationResult, list[EvaluatedImage]]:
    names, index = trained.class_names, {name: number for number, name in enumerate(trained.class_names)}
    probabilities = torch.cat(list(predict_probabilities(trained, _load(trained, cases))))
    confidences, predicted = probabilities.max(dim=1)
    truth = torch.tensor([index[str(case.class_name)] for case in cases])
    confusion = confusion_matrix(predicted, truth, len(names)).numpy()
    right, total = int(confusion.trace()), int(confusion.sum())
    classes = [_class_result(name, int(confusion[k, k]), int(confusion[k].sum())) for k, name in enumerate(names)]
    result = EvaluationResult(
        source=source,
        metric="accuracy",
        score=right / total,
        interval=wilson_interval(right / total, total),
        images=total,
        classes=tuple(classes),
        confusion=tuple(map(tuple, confusion.tolist())),
        set_aside=tuple((one.path, one.reason) for one in set_aside),
        trained_on=seen,
    )
    answers = zip(cases, predicted.tolist(), confidences.tolist(), strict=True)
    return result, [EvaluatedImage(case.name, str(case.class_name), names[k], sure) for case, k, sure in answers]


def _class_result(name: str, right: int, images: int) -> ClassResult:
    if not images:
        return ClassResult(name, 0, None, None)
    return ClassResult(name, images, right / images, wilson_interval(right / images, images))


def _evaluate_masks(
    trained: Trained, cases: Sequence[_Case], source: str, set_aside: Sequence[SetAside], *, seen: int, seed: int
) -> EvaluationResult:
    names = trained.class_names
    confusions = torch.stack(list(_mask_confusions(trained, cases)))
    total = confusions.sum(dim=0)
    shared = confusions.diagonal(dim1=1, dim2=2)
    either = confusions.sum(dim=1) + confusions.sum(dim=2) - shared
    shown = (total.sum(dim=1) > 0).tolist()
    ious = class_iou(total)
    return EvaluationResult(
        source=source,
        metric="miou",
        score=mean_iou(total),
        interval=miou_interval(shared.numpy(), either.numpy(), seed) if len(cases) > 1 else None,
        images=len(cases),
        classes=tuple(
            ClassResult(name, int((confusions[:, k].sum(dim=1) > 0).sum()), ious[k] if shown[k] else None, None)
            for k, name in enumerate(names)
        ),
        confusion=tuple(map(tuple, total.tolist())),
        set_aside=tuple((one.path, one.reason) for one in set_aside),
        trained_on=seen,
    )


def _mask_confusions(trained: Trained, cases: Sequence[_Case]) -> Iterator[torch.Tensor]:
    """Yield the confusion of pixels of one image after another, in the image's own size."""
    for start in range(0, len(cases), _AT_ONCE):
        some = cases[start : start + _AT_ONCE]
        probabilities = torch.cat(list(predict_probabilities(trained, _load(trained, some))))
        for case, square in zip(some, probabilities.argmax(dim=1).to(torch.uint8).numpy(), strict=True):
            assert case.mask is not None
            yield _confusion(trained, case.mask, square)


def _confusion(trained: Trained, mask: Mask, square: NDArray[np.uint8]) -> torch.Tensor:
    height, width = mask.shape
    predicted = in_place(square, (height, width), trained.share, IGNORED, trained.fit)
    # Pixels that the model does not see are not counted.
    truth = np.where(predicted == IGNORED, IGNORED, mask)
    return confusion_matrix(torch.from_numpy(predicted), torch.from_numpy(truth), len(trained.class_names))


def _load(trained: Trained, cases: Sequence[_Case]) -> Images:
    files = [str(case.file) for case in cases]
    return images_for(trained, Path(), files)
