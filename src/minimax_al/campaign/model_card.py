"""The card that goes with a model: what it is for, how good it is, what it was trained on."""

import re
from collections.abc import Sequence

from minimax_al.campaign.status import ModelState
from minimax_al.campaign.trained import Trained


def model_card(trained: Trained, state: ModelState, onnx_difference: float | None) -> str:
    """The card as Markdown.

    Args:
        trained: the model.
        state: the same model as its campaign's database has it.
        onnx_difference: largest difference of a probability between the two files; None without an ONNX file.
    """
    parts = [
        "# Model card",
        (
            f"An image {trained.task} model ({trained.recipe.encoder}) of {len(trained.class_names)} classes: "
            f"{', '.join(map(_plain, trained.class_names))}."
        ),
        "## How good it is",
        *_quality(state),
        "## What it was trained on",
        (
            f"{state.labels:,} labelled pictures, chosen and trained by `{state.strategy}` (run {state.run}); "
            f"{state.held_out:,} more were held out, never trained on.{_since(state)}"
        ),
        *_class_table(trained),
        "## How to use it",
        *_files(trained, onnx_difference),
        "## What to know",
        (
            "The pictures were chosen by active learning: classes are not as frequent among the labels as among the "
            "pictures, and held-out pictures are on the whole harder than average ones. It has seen no pictures of "
            "other kinds than the campaign's, and says one of its classes whatever it is shown."
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _since(state: ModelState) -> str:
    if not state.labels_since:
        return ""
    return f" The campaign has {state.labels_since:,} labels that were given since, which it knows nothing of."


def _quality(model: ModelState) -> list[str]:
    if model.accuracy is None or model.interval is None:
        return ["No label was held out, so nobody knows. Validate it on pictures of your own before use."]
    low, high = model.interval
    rows = [f"| accuracy | {100 * model.accuracy:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f}) |"]
    rows += [
        f"| {name.replace('_', ' ')} | {100 * value:.1f} % |"
        for name, value in sorted(model.metrics.items())
        if name != "accuracy" and "seconds" not in name
    ]
    return [
        f"On {model.held_out:,} held-out pictures:",
        "\n".join(["| metric | value |", "|---|---|", *rows]),
        "The calibration error is the mean distance between confidence and accuracy (Guo et al. 2017).",
    ]


def _class_table(trained: Trained) -> list[str]:
    counts = trained.facts.get("per_class_counts")
    if counts is None:  # masks, or a model of an older version, which did not say
        return []
    accuracies = [*trained.facts["per_class"], *[None] * len(counts)]
    rows = [
        f"| {_plain(name)} | {labels:,} | {held_out:,} | {'–' if accuracy is None else f'{100 * accuracy:.1f} %'} |"
        for name, (labels, held_out), accuracy in zip(trained.class_names, counts, accuracies, strict=False)
    ]
    return ["\n".join(["| class | trained on | held out | right among these |", "|---|---|---|---|", *rows])]


def _plain(name: str) -> str:
    """A class name as Markdown that shows it: no cell of a table ends in it, and no tag begins."""
    return re.sub(r"([\\|<])", r"\\\1", name)


def _files(trained: Trained, onnx_difference: float | None) -> Sequence[str]:
    files = [
        "* `model.safetensors`: the weights; `model.json` says how the network is built.",
        "* `classes.json`: the classes, in the order of the outputs.",
        "* `preprocessing.json`: from a picture file to the model's input, step by step.",
    ]
    if onnx_difference is not None:
        files.append(
            f"* `model.onnx`: takes `pixels` (B, 3, {trained.input_size}, {trained.input_size}) uint8 and gives "
            f"`probabilities`; normalisation is inside. Differs from the weights above by at most "
            f"{onnx_difference:.1g} in a probability."
        )
    return ["\n".join(files)]
