"""Model cards: the names of classes are shown as they are."""

from types import SimpleNamespace

from minimax_al.campaign.model_card import model_card
from minimax_al.campaign.status import ModelState
from minimax_al.campaign.trained import Trained


def test_a_class_name_ends_no_cell_and_begins_no_tag():
    facts = {"per_class_counts": [(3, 1), (2, 0)], "per_class": [1.0, None]}
    trained = SimpleNamespace(
        task="classification", recipe=SimpleNamespace(encoder="tiny"), class_names=("a|b", "<b>c"), facts=facts
    )
    state = SimpleNamespace(accuracy=None, interval=None, labels=5, held_out=1, strategy="mal", run=1, labels_since=0)
    assert {*vars(state)} <= {*ModelState.__annotations__}
    assert {*vars(trained)} <= {*Trained.__annotations__}
    card = model_card(trained, state, None)
    assert "2 classes: a\\|b, \\<b>c." in card
    assert "| a\\|b | 3 | 1 | 100.0 % |\n| \\<b>c | 2 | 0 | – |" in card
