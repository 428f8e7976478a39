"""Card of a model: its purpose, its scores, its training data."""

import re
from collections.abc import Sequence

from minimax_al.campaign.progress.evaluation_result import EvaluationResult
from minimax_al.campaign.progress.headline import CROSS_VALIDATED, HIGH, LOW, PIXEL_P, RANDOM_COUNT
from minimax_al.campaign.progress.status import ModelState
from minimax_al.training.trained import Trained

_EXPLAINED = {
    "calibration_error": (
        "The calibration error is the mean distance between confidence and accuracy (Guo et al. 2017)."
    ),
    "pixel_accuracy": "The pixel accuracy is that of a classifier of 16×16 thumbnails on the same labels.",
    "miou": (
        "The IoU of a class is the number of pixels that truth and model share, divided by the number that either has; "
        "mIoU is the mean over the classes that either shows. Its interval is a bootstrap over the held-out images."
    ),
}
"""Explanations of metrics, by name."""


def model_card(
    trained: Trained, state: ModelState, onnx_difference: float | None, test: EvaluationResult | None = None
) -> str:
    """Return the card as Markdown.

    Args:
        trained: Trained model.
        state: State of the same model in its campaign.
        onnx_difference: Largest difference of a probability between the two files; None without an ONNX file.
        test: Result on a test set of the user's own; None without one.
    """
    parts = [
        "# Model card",
        (
            f"An image {trained.task} model ({trained.recipe.encoder}) of {len(trained.class_names)} classes: "
            f"{', '.join(map(_plain, trained.class_names))}."
        ),
        "## Scores",
        *_quality(state),
        *_test_set(test),
        "## Training data",
        (
            f"{state.labels:,} labelled images, chosen and trained by `{state.strategy}` (run {state.run}); "
            f"{state.held_out:,} more were held out, never trained on.{_since(state)}"
        ),
        *_class_table(trained),
        "## Use",
        *_files(trained, onnx_difference),
        "## Limits",
        (
            "Active learning chose the labelled images, and the held-out images are drawn from them: classes have "
            "other shares there than among all images, and the accuracy on all images can be higher or lower. A test "
            "set of your own gives an unbiased figure. The model was trained on images of the campaign alone, and it "
            "predicts one of its classes for any image."
        ),
        *_sight(trained),
    ]
    return "\n\n".join(parts) + "\n"


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


def _since(state: ModelState) -> str:
    if not state.labels_since:
        return ""
    return f" The campaign has {state.labels_since:,} newer labels, on which it was not trained."


def _quality(model: ModelState) -> list[str]:
    if model.score is None:
        return ["No label was held out, so its accuracy is unknown. Measure it on a test set of your own before use."]
    interval = (
        ""
        if model.interval is None
        else " (95 % interval {:.1f} to {:.1f})".format(*(100 * end for end in model.interval))
    )
    rows = [f"| {model.metric_name} | {100 * model.score:.1f} %{interval} |"]
    rows += [
        f"| {name.replace('_', ' ').replace('miou', 'mIoU')} | {100 * value:.1f} % |"
        for name, value in sorted(model.metrics.items())
        if name not in {model.metric, LOW, HIGH, CROSS_VALIDATED, PIXEL_P, RANDOM_COUNT} and "seconds" not in name
    ]
    return [
        f"Measured {model.measurement}:",
        "\n".join(["| metric | value |", "|---|---|", *rows]),
        *(words for name, words in _EXPLAINED.items() if name in model.metrics),
    ]


def _test_set(test: EvaluationResult | None) -> list[str]:
    if test is None:
        return []
    interval = (
        ""
        if test.interval is None
        else " (95 % interval {:.1f} to {:.1f})".format(*(100 * end for end in test.interval))
    )
    rows = [
        f"| {_plain(entry.name)} | {entry.images:,} | {_percent(entry.score)} |"
        for entry in test.classes
        if entry.images
    ]
    copies = (
        ""
        if not test.trained_on
        else (
            f" {test.trained_on:,} of these images are copies of labelled images that the campaign trains on: the "
            "figure is too high."
        )
    )
    what = "correct" if test.metric == "accuracy" else "IoU"
    return [
        f"On a test set of {test.images:,} images: {test.metric_name} {100 * test.score:.1f} %{interval}.{copies}",
        "\n".join([f"| class | test images | {what} |", "|---|---|---|", *rows]),
    ]


def _class_table(trained: Trained) -> list[str]:
    return _iou_table(trained) if trained.task == "segmentation" else _accuracy_table(trained)


def _iou_table(trained: Trained) -> list[str]:
    ious = trained.facts.get("per_class")
    if not ious:  # nothing was held out
        return []
    rows = [f"| {_plain(name)} | {_percent(iou)} |" for name, iou in zip(trained.class_names, ious, strict=True)]
    return ["\n".join(["| class | IoU |", "|---|---|", *rows])]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _accuracy_table(trained: Trained) -> list[str]:
    counts = trained.facts.get("per_class_counts")
    if counts is None:  # a model of an older version, which did not record them
        return []
    accuracies = [*trained.facts["per_class"], *[None] * len(counts)]
    rows = [
        f"| {_plain(name)} | {labels:,} | {held_out:,} | {_percent(accuracy)} |"
        for name, (labels, held_out), accuracy in zip(trained.class_names, counts, accuracies, strict=False)
    ]
    return ["\n".join(["| class | trained on | held out | right among these |", "|---|---|---|---|", *rows])]


def _plain(name: str) -> str:
    """Return a class name as Markdown that shows it: it ends no cell of a table and begins no tag."""
    return re.sub(r"([\\|<])", r"\\\1", name)


def _files(trained: Trained, onnx_difference: float | None) -> Sequence[str]:
    files = [
        "* `model.safetensors`: the weights; `model.json` describes the network.",
        "* `classes.json`: the classes, in the order of the outputs.",
        "* `preprocessing.json`: the steps from an image file to the model's input.",
        "* `preprocess.py`: code that applies them with Pillow and NumPy alone.",
    ]
    if onnx_difference is not None:
        files.append(
            f"* `model.onnx`: accepts `pixels` (B, 3, {trained.input_size}, {trained.input_size}) uint8 and returns "
            "`probabilities`; normalisation is inside. On image files of the campaign, read by `preprocess.py`, its "
            f"probabilities differ from those of the weights above by at most {onnx_difference:.1g}."
        )
    return ["\n".join(files)]
