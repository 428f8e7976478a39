"""Strategies of published comparisons, against their functions on all images at once."""

import pytest
import torch

from minimax_al.acquisition import alfa_mix, bait, galaxy
from minimax_al.networks import MISSING_LOGIT
from minimax_al.strategies import get_strategy
from minimax_al.testing import make_round

BUDGET = 6


@pytest.fixture(params=["images", "features"])
def stage(request):
    round_ = make_round(samples=request.param)
    models = get_strategy("random").fit(round_)

    def last_layer(indices):
        (x,) = round_.feed.plain(round_.dataset.train, indices, 100)
        with torch.no_grad():
            outputs = models.outputs(x)
            return outputs.last_layer_input(), outputs.logits

    return round_, models, last_layer


def picked(name, stage, **settings):
    round_, models, _ = stage
    return get_strategy(name, **settings).query(round_, models, BUDGET).indices.tolist()


@pytest.mark.parametrize("fisher", ["exact", "binary"])
def test_bait_reads_labelled_and_unlabelled_images(stage, fisher):
    round_, _, last_layer = stage
    (features, logits), (labelled, known) = last_layer(round_.unlabelled), last_layer(round_.labelled)
    expected = bait(
        features,
        logits,
        BUDGET,
        generator=torch.Generator(),
        labelled=labelled,
        labelled_logits=known,
        fisher=fisher,
    )
    assert picked("bait", stage, fisher=fisher) == round_.unlabelled[expected].tolist()


def test_alfa_mix_mixes_towards_the_classes_of_the_labels(stage):
    round_, models, last_layer = stage
    (features, logits), (labelled, _) = last_layer(round_.unlabelled), last_layer(round_.labelled)
    weight, bias = models.last_layer_parameters()
    torch.testing.assert_close(features @ weight.T + bias, logits)
    expected = alfa_mix(
        features,
        weight,
        bias,
        BUDGET,
        labelled=labelled,
        targets=round_.targets[round_.labelled],
        generator=round_.generator("query"),
        normalised=models.last_layer_normalises,
    )
    assert models.last_layer_normalises == hasattr(models.task_model.head, "logits_of")
    twice = models.last_layer(2 * features) if models.last_layer_normalises else models.last_layer(features)
    torch.testing.assert_close(twice, logits)  # the length of an input counts in a linear last layer alone
    assert picked("alfa_mix", stage) == round_.unlabelled[expected].tolist()


def test_galaxy_orders_the_whole_pool(stage):
    round_, _, last_layer = stage
    probabilities = last_layer(torch.arange(len(round_.dataset.train)))[1].softmax(dim=1)
    expected = galaxy(probabilities, round_.targets, BUDGET, generator=round_.generator("query"))
    assert picked("galaxy", stage) == expected.tolist()


def test_powerbald_prefers_high_scores_the_more_the_higher_the_power():
    round_ = make_round()
    sharp, plain = get_strategy("powerbald", power=1e6), get_strategy("bald")
    models = plain.fit(round_)
    assert sharp.query(round_, models, BUDGET).indices.tolist() == plain.query(round_, models, BUDGET).indices.tolist()
    assert (
        get_strategy("powerbald").query(round_, models, BUDGET).indices.tolist()
        != sharp.query(round_, models, BUDGET).indices.tolist()
    )


def test_parameters_of_a_last_layer_without_some_classes():
    round_ = make_round(samples="features")
    labelled = round_.labelled[round_.targets[round_.labelled] != 1]
    object.__setattr__(round_, "labelled", labelled)
    object.__setattr__(round_, "recipe", round_.recipe.model_copy(update={"missing_classes": "warn"}))
    models = get_strategy("random").fit(round_)
    weight, bias = models.last_layer_parameters()
    assert bias.tolist() == [0, MISSING_LOGIT, 0]
    assert float(weight[1].abs().max()) == 0
