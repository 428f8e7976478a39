"""Bisection on sorted arrays against breadth-first search on explicit graphs, edge by edge."""

from collections import deque

import numpy as np
import pytest
import torch

from minimax_al.acquisition import galaxy
from minimax_al.errors import BudgetError, NonFiniteScoreError, ShapeError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def shortest_paths(order, labels, label, reach):
    """All shortest paths from a label of the class to another label, as lists of images, by search over edges."""
    place = {image: position for position, image in enumerate(order)}
    known = {image for image in order if labels[image] >= 0}

    def neighbours(image):
        for step in range(-reach, reach + 1):
            if step and 0 <= place[image] + step < len(order):
                other = order[place[image] + step]
                cut = image in known and other in known and (labels[image] == label) != (labels[other] == label)
                if not cut:
                    yield other

    starts = [image for image in order if labels[image] == label]
    distance, queue = dict.fromkeys(starts, 0), deque(starts)
    while queue:
        image = queue.popleft()
        for other in neighbours(image):
            if other not in distance:
                distance[other] = distance[image] + 1
                queue.append(other)
    ends = [image for image in order if image in distance and labels[image] >= 0 and labels[image] != label]
    if not ends:
        return []
    nearest = min(distance[image] for image in ends)
    paths = [[image] for image in ends if distance[image] == nearest]
    for step in range(nearest - 1, -1, -1):
        paths = [[*path, other] for path in paths for other in neighbours(path[-1]) if distance.get(other) == step]
    return paths


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("in_turn", [True, False])
def test_every_pick_is_in_the_middle_of_a_shortest_path(seed, in_turn):
    generator = seeded(seed)
    probs = torch.randn(40, 3, generator=generator, dtype=torch.float64).mul(2).softmax(dim=1)
    truth = torch.randint(3, (40,), generator=generator)
    labels = torch.where(torch.rand(40, generator=generator) < 0.2, truth, -1)
    labels[:3] = torch.arange(3)
    answer = (lambda image: int(truth[image])) if in_turn else None
    budget = int((labels < 0).sum())
    picks = galaxy(probs, labels, budget, generator=seeded(), answer=answer).tolist()
    assert sorted(picks) == (labels < 0).nonzero().flatten().tolist()

    p = probs.numpy()
    known, reach, found = labels.numpy().copy(), 1, 0
    for turn, image in enumerate(picks):
        label = turn % 3
        order = np.argsort(p[:, label] - p.max(axis=1) + 1e-8 * p.max(axis=1), kind="stable").tolist()
        paths = shortest_paths(order, known, label, reach)
        if not paths and reach < 40:
            reach += 1
            paths = shortest_paths(order, known, label, reach)
        if paths:
            found += 1
            assert image in {path[len(path) // 2] for path in paths}
        known[image] = truth[image] if in_turn else p[image].argmax()
    # The search over paths decides most picks, with steps longer than one at the end.
    assert found > budget / 2
    assert reach > 1


def test_rare_classes_get_more_labels_than_by_margin():
    generator = seeded()
    truth = torch.where(torch.arange(1000) < 980, 0, torch.arange(1000) % 4)
    logits = torch.randn(1000, 4, generator=generator)
    logits[torch.arange(1000), truth] += 2.5
    logits[:, 0] += 2
    labels = torch.full((1000,), -1)
    labels[[0, 1, 2, 981, 982, 983]] = truth[[0, 1, 2, 981, 982, 983]]
    probs = logits.softmax(dim=1)
    picks = galaxy(probs, labels, 60, generator=seeded(), answer=lambda image: int(truth[image]))
    top = probs.topk(2).values
    by_margin = torch.where(labels < 0, top[:, 0] - top[:, 1], 2.0).argsort()[:60]
    assert int((truth[picks] > 0).sum()) > int((truth[by_margin] > 0).sum())


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"budget": 8}, BudgetError, "a budget of 8 is outside 1 … 7"),
        ({"labels": torch.full((9,), 2)}, ShapeError, "labels must be classes 0 to 1, or -1"),
        ({"labels": torch.zeros(8)}, ShapeError, "probabilities are for 9 images, labels for 8"),
        ({"probabilities": torch.full((9, 2), torch.nan)}, NonFiniteScoreError, "probabilities are NaN"),
    ],
)
def test_bad_input(change, error, sentence):
    labels = torch.tensor([0, 1, -1, -1, -1, -1, -1, -1, -1])
    arguments = {"probabilities": torch.rand(9, 2, generator=seeded()), "labels": labels, "budget": 3}
    with pytest.raises(error, match=sentence):
        galaxy(**{**arguments, "generator": seeded(), **change})
