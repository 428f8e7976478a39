"""Stored views of a segmentation model on the picks."""

from types import SimpleNamespace

import numpy as np
import torch
from scipy.special import softmax
from scipy.stats import entropy

from minimax_al.benchmark.runs.views import VIEWS_A_ROUND, views_of


def test_prediction_and_entropy_of_the_first_picks_in_bytes():
    logits = 3 * torch.randn(20, 5, 4, 6, generator=torch.Generator().manual_seed(0))
    logits[0] = 0.0  # all classes alike
    logits[1, 2] = 1000.0  # sure
    round_ = SimpleNamespace(stream=lambda forward, indices: forward(logits[indices]))
    models = SimpleNamespace(outputs=lambda x: SimpleNamespace(logits=x))
    views = views_of(round_, models, torch.arange(20))
    first = logits[:VIEWS_A_ROUND].double().numpy()
    assert views["prediction"].tolist() == first.argmax(axis=1).tolist()
    share = entropy(softmax(first, axis=1), axis=1) / np.log(5)
    assert np.abs(views["entropy"].numpy() - 255 * share).max() <= 0.5 + 1e-4
    assert views["entropy"][0].unique().tolist() == [255]
    assert views["entropy"][1].unique().tolist() == [0]
    assert {values.dtype for values in views.values()} == {torch.uint8}
