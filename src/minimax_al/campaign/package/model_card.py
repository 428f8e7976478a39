"""Paragraphs of a campaign's model card: scores, training data, limits."""

from minimax_al.campaign.progress.evaluation_result import EvaluationResult
from minimax_al.campaign.progress.headline import CROSS_VALIDATED, HIGH, LOW, PIXEL_P, RANDOM_COUNT
from minimax_al.campaign.progress.status import ModelState
from minimax_al.deployment.model_card import CardText, explanations, metrics_table, percent, plain

_PIXELS = "The pixel accuracy is that of a classifier of 16×16 thumbnails on the same labels."


def card_text(state: ModelState, test: EvaluationResult | None = None) -> CardText:
    """Return the paragraphs that depend on the campaign.

    Args:
        state: State of the model in its campaign.
        test: Result on a test set of the user's own; None without one.
    """
    return CardText(
        scores=[*_quality(state), *_test_set(test)],
        training_data=[
            (
                f"{state.labels:,} labelled images, chosen and trained by `{state.strategy}` (run {state.run})"
                f"{_held_out(state)}.{_since(state)}"
            )
        ],
        limits=(
            "Active learning chose the labelled images, and the held-out images are drawn from them: classes have "
            "other shares there than among all images, and the accuracy on all images can be higher or lower. A test "
            "set of your own gives an unbiased figure. The model was trained on images of the campaign alone, and it "
            "predicts one of its classes for any image."
        ),
    )


def _held_out(state: ModelState) -> str:
    return f"; {state.held_out:,} more were held out, never trained on" if state.held_out else ""


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
    others = {
        name: value
        for name, value in model.metrics.items()
        if name not in {model.metric, LOW, HIGH, CROSS_VALIDATED, PIXEL_P, RANDOM_COUNT} and "seconds" not in name
    }
    headline = f"| {model.metric_name} | {100 * model.score:.1f} %{interval} |"
    # Models of masks have a metric of the same name, the share of right pixels.
    thumbnails = [_PIXELS] if "pixel_accuracy" in others and model.metric == "accuracy" else []
    measured = f"Measured {model.measurement}:"
    return [measured, metrics_table(headline, others), *explanations(model.metrics), *thumbnails]


def _test_set(test: EvaluationResult | None) -> list[str]:
    if test is None:
        return []
    interval = (
        ""
        if test.interval is None
        else " (95 % interval {:.1f} to {:.1f})".format(*(100 * end for end in test.interval))
    )
    rows = [
        f"| {plain(entry.name)} | {entry.images:,} | {percent(entry.score)} |" for entry in test.classes if entry.images
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
