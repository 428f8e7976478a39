"""Readings of the query, and settings of Algorithm 1 in names of strategies."""

from dataclasses import replace

import pytest
import torch

from minimax_al.acquisition import entropy, intersection, logits_within_class
from minimax_al.errors import ConfigurationError
from minimax_al.strategies import get_strategy
from minimax_al.strategies.strategy_names import build_strategy
from minimax_al.testing import make_round
from minimax_al.training import fit_minimax

BUDGET = 6


@pytest.fixture(params=["images", "features"])
def played(request):
    round_ = make_round(samples=request.param)
    models = fit_minimax(round_)
    (x,) = round_.feed.plain(round_.dataset.train, round_.unlabelled, 100)
    with torch.no_grad():
        outputs = models.outputs(x)
        return round_, models, outputs, models.discriminator(outputs.features), models.task_model(x)


def picks(name, played):
    round_, models, *_ = played
    return build_strategy(name).query(round_, models, BUDGET).indices.tolist()


def test_entropy_of_another_model_ranks(played):
    round_, models, outputs, labelledness, task_logits = played
    for value, logits in (
        ("classifier", outputs.logits),
        ("untempered", outputs.logits * models.classifier.temperature),
        ("task_model", task_logits),
    ):
        expected = round_.unlabelled[intersection(labelledness, entropy(logits), BUDGET)].tolist()
        assert picks(f"mal(entropy_of={value})", played) == expected, value


def test_d_ranks_within_the_predicted_class(played):
    round_, _, outputs, labelledness, _ = played
    within = logits_within_class(labelledness, outputs.logits.argmax(dim=1))
    expected = round_.unlabelled[intersection(within, entropy(outputs.logits), BUDGET)].tolist()
    assert picks("mal(within_class=true)", played) == expected
    assert expected != picks("mal", played)


@pytest.mark.parametrize(("rule", "join"), [("union", torch.minimum), ("rank_sum", torch.add)])
def test_rules_by_name(played, rule, join):
    round_, _, outputs, labelledness, _ = played
    by_d = labelledness.argsort().argsort()
    by_h = entropy(outputs.logits).argsort(descending=True).argsort()
    then = by_d + by_h if rule == "union" else by_d
    order = (join(by_d, by_h) * 1000 + then).argsort(stable=True)
    assert picks(f"mal(rule={rule})", played) == round_.unlabelled[order[:BUDGET]].tolist()


def test_ranks_within_a_class_are_refused_for_masks():
    round_ = make_round("segmentation")
    strategy = get_strategy("mal", within_class=True)
    with pytest.raises(ConfigurationError, match="within_class=True needs one class per image"):
        strategy.query(round_, strategy.fit(round_), 2)


def test_settings_of_algorithm_1_in_a_name_go_before_the_recipe():
    round_ = make_round(samples="features")
    strategy = build_strategy("mal(rule=union,classifier_rate=1e-5,warmup_steps=7,classifier_entropy=minimise)")
    settings = strategy.minimax_settings(round_)
    assert (settings.classifier_rate, settings.warmup_steps, settings.classifier_entropy) == (1e-5, 7, "minimise")
    assert settings.imprint == round_.minimax.imprint
    assert build_strategy("badge+mal(adversary_weight=0.2)").minimax_settings(round_).adversary_weight == 0.2


def test_the_control_of_equal_work_has_no_term_on_unlabelled_images():
    recipe = make_round().recipe
    minimax = recipe.minimax.changed({"adversary_weight": 0.3, "consistency_weight": 1.0})
    round_ = replace(make_round(), recipe=recipe.model_copy(update={"minimax": minimax}))
    settings = get_strategy("random-equal-work").minimax_settings(round_)
    assert (settings.entropy_weight, settings.adversary_weight, settings.consistency_weight) == (0, 0, 0)


def test_m_of_mal_alone_can_have_another_head():
    models = get_strategy("mal", task_head="cosine").fit(make_round())
    assert models.task_model.head.weight.shape == (3, 16)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mal(clasifier_rate=1)", "strategy 'mal': unknown key 'clasifier_rate'; did you mean 'classifier_rate'"),
        ("random+mal(rule=union)", r"strategy 'random\+mal': unknown key 'rule'"),
        ("entropy(warmup_steps=3)", "strategy 'entropy': unknown key 'warmup_steps'"),
        (
            "entropy(game={warmup_steps: 3})",
            "'warmup_steps' is a setting of Algorithm 1, and the training is 'supervised'",
        ),
        ("mal(warmup_steps=-3)", "warmup_steps: Input should be greater than or equal to 0, but -3 was given"),
        ("mal(rule=unions)", "rule: Input should be .*'union'.* but 'unions' was given"),
    ],
)
def test_wrong_settings(name, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        build_strategy(name)
