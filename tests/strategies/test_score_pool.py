from dataclasses import replace

import pytest
import torch
from torch import nn

from minimax_al.errors import NonFiniteScoreError
from minimax_al.strategies import get_strategy, picks, score_pool
from minimax_al.testing import make_round
from minimax_al.testing.probes import poisoned
from minimax_al.testing.stage import Stage
from minimax_al.training import fit_supervised


def test_scores_come_in_the_order_asked_for_whatever_the_batch_size(round_, supervised_models):
    indices = torch.tensor([20, 3, 11, 0, 7, 15, 2, 9])
    names = {"logits", "predicted", "confidence"}
    by_size = []
    for size in (1, 3, 8, 100):
        recipe = round_.recipe.model_copy(update={"scoring_batch_size": size})
        resized = replace(round_, recipe=recipe)
        scores = score_pool(resized, supervised_models, lambda outputs: {"logits": outputs.logits}, indices)
        assert scores.keys() == names
        by_size.append(scores["logits"])
    for logits in by_size[1:]:
        torch.testing.assert_close(logits, by_size[0], rtol=1e-10, atol=1e-12)


def test_picks_turn_positions_into_indices(round_):
    query = picks(round_, torch.tensor([4, 0]), {"one": torch.arange(15.0), "many": torch.zeros(15, 3)})
    assert query.indices.tolist() == [int(round_.unlabelled[4]), int(round_.unlabelled[0])]
    assert set(query.scores) == {"one"}
    assert query.picked("one").tolist() == [4, 0]


@pytest.mark.parametrize(
    ("name", "task"),
    [
        (name, task)
        for name in ("entropy", "bald", "ensemble", "coreset", "badge", "vaal", "mal", "batchbald+mal")
        for task in get_strategy(name).tasks
    ],
)
def test_non_finite_scores_name_the_image_wherever_its_batch_is(name, task):
    round_ = make_round(task)
    strategy = get_strategy(name)
    stage = Stage(strategy, round_, strategy.fit(round_))
    for position in (0, 8, 14):
        victim = int(round_.unlabelled[position])
        sentence = rf"in round 0 a score of 'squares/{victim:02d}' is NaN or infinite; scores are never replaced"
        with poisoned(stage, victim), pytest.raises(NonFiniteScoreError, match=sentence) as caught:
            stage.query(3)
        assert caught.value.positions == (position,)
        assert isinstance(caught.value.__cause__, NonFiniteScoreError)
    assert len(stage.query(3).indices) == 3


def test_a_broken_network_names_a_few_images(round_):
    models = fit_supervised(round_)
    nn.init.constant_(models.task_model.head.bias, torch.inf)
    with pytest.raises(NonFiniteScoreError, match="'squares/03', 'squares/06', 'squares/07'") as caught:
        get_strategy("margin").query(round_, models, 3)
    assert caught.value.positions == tuple(range(7))
