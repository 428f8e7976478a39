"""Model cards: class names are shown unchanged, and missing facts are not mentioned."""

from types import SimpleNamespace

from minimax_al.campaign.package.model_card import card_text
from minimax_al.campaign.progress.status import ModelState
from minimax_al.deployment.model_card import model_card
from minimax_al.deployment.trained import Trained


def test_a_class_name_ends_no_cell_and_begins_no_tag():
    facts = {"per_class_counts": [(3, 1), (2, 0)], "per_class": [1.0, None]}
    trained = SimpleNamespace(
        task="classification",
        recipe=SimpleNamespace(encoder="tiny"),
        class_names=("a|b", "<b>c"),
        facts=facts,
        source=None,
    )
    state = SimpleNamespace(score=None, interval=None, labels=5, held_out=1, strategy="mal", run=1, labels_since=0)
    assert {*vars(state)} <= {*ModelState.__annotations__}
    assert {*vars(trained)} <= {*Trained.__annotations__}
    card = model_card(trained, card_text(state), None)
    assert "2 classes: a\\|b, \\<b>c." in card
    assert "| a\\|b | 3 | 1 | 100.0 % |\n| \\<b>c | 2 | 0 | – |" in card


MASKS = {"miou": 0.432, "miou_low": 0.4, "miou_high": 0.47, "pixel_accuracy": 0.816, "classifier_miou": 0.41}


def test_the_card_of_a_segmentation_model_describes_masks():
    trained = SimpleNamespace(
        task="segmentation",
        recipe=SimpleNamespace(encoder="tiny"),
        class_names=("road", "car"),
        facts={"per_class": [0.864, None], "labels": 5},
        stored_size=96,
        fit="stretch",
        source=None,
    )
    state = ModelState(1, "mal", 5, 0, 8, 8, "miou", 0.432, (0.4, 0.47), MASKS, None, None)
    card = model_card(trained, card_text(state), None)
    assert (
        "| mIoU | 43.2 % (95 % interval 40.0 to 47.0) |\n| classifier mIoU | 41.0 % |\n| pixel accuracy | 81.6 % |"
        in card
    )
    assert card.count("43.2 %") == card.count("| mIoU |") == card.count("81.6") == 1
    assert "calibration" not in card
    assert "| class | IoU |\n|---|---|\n| road | 86.4 % |\n| car | – |" in card
    assert "It sees all of an image, stretched to a square of 96 x 96 pixels" in card
