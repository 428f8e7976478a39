"""Card of a model: its purpose, its scores, its training data."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from minimax_al.deployment.trained import Trained

_EXPLAINED = {
    "calibration_error": (
        "The calibration error is the mean distance between confidence and accuracy (Guo et al. 2017)."
    ),
    "miou": (
        "The IoU of a class is the number of pixels that truth and model share, divided by the number that either has; "
        "mIoU is the mean over the classes that either shows. Its interval is a bootstrap over the held-out images."
    ),
}
"""Explanations of metrics, by name."""


@dataclass(frozen=True)
class CardText:
    """Paragraphs of a card that depend on where the model was trained.

    Attributes:
        scores: Markdown paragraphs about the model's scores.
        training_data: Markdown paragraphs about the images that it was trained on.
        limits: Paragraph about the limits of the scores.
        counted: Heading of the second count in the table of classes, such as "held out".
        compared_on: Images on which the ONNX file was compared with the weights.
    """

    scores: Sequence[str]
    training_data: Sequence[str]
    limits: str
    counted: str = "held out"
    compared_on: str = "image files of the campaign"


def model_card(trained: Trained, text: CardText, onnx_difference: float | None) -> str:
    """Return the card as Markdown.

    Args:
        trained: Trained model.
        text: Paragraphs of the campaign or benchmark.
        onnx_difference: Largest difference of a probability between the two files; None without an ONNX file.
    """
    encoder = trained.recipe.encoder if trained.source is None else trained.source.encoder
    parts = [
        "# Model card",
        (
            f"An image {trained.task} model ({encoder}) of {len(trained.class_names)} classes: "
            f"{', '.join(map(plain, trained.class_names))}."
        ),
        "## Scores",
        *text.scores,
        "## Training data",
        *text.training_data,
        *_class_table(trained, text.counted),
        "## Use",
        *_files(trained, onnx_difference, text.compared_on),
        "## Limits",
        text.limits,
        *_sight(trained),
    ]
    return "\n\n".join(parts) + "\n"


def metrics_table(headline: str, metrics: Mapping[str, float]) -> str:
    """Return a Markdown table of metrics.

    Args:
        headline: First row, as Markdown.
        metrics: Further metrics by name, fractions in [0, 1].
    """
    rows = [
        f"| {name.replace('_', ' ').replace('miou', 'mIoU')} | {percent(value)} |"
        for name, value in sorted(metrics.items())
    ]
    return "\n".join(["| metric | value |", "|---|---|", headline, *rows])


def explanations(metrics: Mapping[str, float]) -> list[str]:
    """Return a sentence about each metric that needs one."""
    return [words for name, words in _EXPLAINED.items() if name in metrics]


def percent(share: float | None) -> str:
    """Return a fraction in percent; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f} %"


def plain(name: str) -> str:
    """Return a class name as Markdown that shows it: it ends no cell of a table and begins no tag."""
    return re.sub(r"([\\|<])", r"\\\1", name)


def _sight(trained: Trained) -> list[str]:
    """Return a sentence about the part of an image that a model of masks sees."""
    if trained.task == "classification":
        return []
    side = f"a square of {trained.stored_size} x {trained.stored_size} pixels"
    seen = (
        f"It sees all of an image, stretched to {side}, whatever its proportions: stretch its masks back, "
        "without mixing neighbours."
    )
    middle = f"It sees the middle of an image alone, as wide as the short side, resized to {side}."
    return [seen if trained.fit == "stretch" else middle]


def _class_table(trained: Trained, counted: str) -> list[str]:
    return _iou_table(trained) if trained.task == "segmentation" else _accuracy_table(trained, counted)


def _iou_table(trained: Trained) -> list[str]:
    ious = trained.facts.get("per_class")
    if not ious:  # nothing was held out
        return []
    rows = [f"| {plain(name)} | {percent(iou)} |" for name, iou in zip(trained.class_names, ious, strict=True)]
    return ["\n".join(["| class | IoU |", "|---|---|", *rows])]


def _accuracy_table(trained: Trained, counted: str) -> list[str]:
    counts = trained.facts.get("per_class_counts")
    if counts is None:  # a model of an older version, which did not record them
        return []
    accuracies = [*trained.facts["per_class"], *[None] * len(counts)]
    rows = [
        f"| {plain(name)} | {labels:,} | {held_out:,} | {percent(accuracy)} |"
        for name, (labels, held_out), accuracy in zip(trained.class_names, counts, accuracies, strict=False)
    ]
    return ["\n".join([f"| class | trained on | {counted} | right among these |", "|---|---|---|---|", *rows])]


def _files(trained: Trained, onnx_difference: float | None, compared_on: str) -> Sequence[str]:
    files = [
        "* `model.safetensors`: the weights; `model.json` describes the network.",
        "* `classes.json`: the classes, in the order of the outputs.",
        "* `preprocessing.json`: the steps from an image file to the model's input.",
        "* `preprocess.py`: code that applies them with Pillow and NumPy alone.",
    ]
    if onnx_difference is not None:
        files.append(
            f"* `model.onnx`: accepts `pixels` (B, 3, {trained.input_size}, {trained.input_size}) uint8 and returns "
            f"`probabilities`; normalisation is inside. On {compared_on}, read by `preprocess.py`, its probabilities "
            f"differ from those of the weights above by at most {onnx_difference:.1g}."
        )
    return ["\n".join(files)]
