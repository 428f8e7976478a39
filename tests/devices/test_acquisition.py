"""Every acquisition function on a pretended accelerator: results as on the CPU, on the requested device."""

import pytest
import torch
from torch import distributed

from minimax_al import acquisition
from minimax_al.acquisition import bounded_products

GENERATOR = torch.Generator().manual_seed(0)
POOL, LABELLED = torch.randn(700, 24, generator=GENERATOR), torch.randn(300, 24, generator=GENERATOR)
POOL[600:] = POOL[:100]  # duplicates, whose order their index decides
LOGITS = torch.randn(700, 7, generator=GENERATOR)
PASSES = torch.randn(5, 200, 4, generator=GENERATOR)
PIXELS = torch.randn(6, 5, 4, 4, generator=GENERATOR)
LABELLEDNESS, ENTROPIES = torch.randn(200, generator=GENERATOR), torch.rand(200, generator=GENERATOR)
WEIGHT = torch.randn(7, 24, generator=GENERATOR)
PARTLY_KNOWN = torch.where(torch.arange(700) % 5 == 0, torch.arange(700) % 7, -1)


TYPES = {"RULES", "Clustering", "FeatureMatrix", "LogitsOf", "Rows"}
ON_NO_DEVICE = {"covering_radius"}  # returns a number


def seeded():
    return torch.Generator().manual_seed(1)


def accumulated(logits):
    accumulator = acquisition.BaldAccumulator()
    for logits_NK in logits:
        accumulator.update(logits_NK)
    return accumulator.result()


def sharded(features, centers):
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        return acquisition.k_center_greedy_sharded(features, 40, centers, group=distributed.group.WORLD)
    finally:
        distributed.destroy_process_group()


CASES = {
    "BaldAccumulator": (accumulated, PASSES),
    "badge": (lambda features, logits: acquisition.badge(logits, features, 60, seeded()), POOL, LOGITS),
    "bald": (acquisition.bald, PASSES),
    "batchbald": (lambda x: acquisition.batchbald(x, 6, num_samples=200, generator=seeded()), PASSES),
    "entropy": (acquisition.entropy, LOGITS),
    "k_center_greedy": (lambda x, c: acquisition.k_center_greedy(x, 120, c), POOL, LABELLED),
    "k_center_greedy without centers": (lambda x: acquisition.k_center_greedy(x, 60), POOL),
    "k_center_greedy_sharded": (sharded, POOL, LABELLED),
    "least_confidence": (acquisition.least_confidence, LOGITS),
    "margin": (acquisition.margin, LOGITS),
    "pixel_entropy": (acquisition.pixel_entropy, PIXELS),
    "ranks": (acquisition.ranks, ENTROPIES),
    "top": (lambda x: acquisition.top(x, 10), ENTROPIES),
    "centroids": (lambda x, c: acquisition.centroids(x, 20, generator=seeded(), labelled=c), POOL, LABELLED),
    "cluster_margin": (
        lambda x, m: acquisition.cluster_margin(x, m, 20, generator=seeded(), factor=4),
        POOL,
        torch.rand(700, generator=GENERATOR),
    ),
    "dropquery": (lambda x: acquisition.dropquery(x, lambda block: block[:, :7] * 3, 20, generator=seeded()), POOL),
    "k_means": (lambda x: acquisition.k_means(x, 12, generator=seeded()).assignments, POOL),
    "maxherding": (lambda x, c: acquisition.maxherding(x, 20, generator=seeded(), labelled=c), POOL, LABELLED),
    "probcover": (lambda x: acquisition.probcover(x, 20, generator=seeded(), radius=5.0), POOL),
    "scores_of": (lambda x: acquisition.scores_of(x, lambda block: block[:, :7], acquisition.entropy), POOL),
    "uherding": (
        lambda x, u: acquisition.uherding(x, u, 20, generator=seeded(), bandwidth=1.0),
        POOL,
        torch.rand(700, generator=GENERATOR),
    ),
    "typicality": (lambda x, c: acquisition.typicality(x, 12, seeded(), c, most_clusters=30), POOL, LABELLED),
    "power_sample": (lambda h: acquisition.power_sample(h, 20, generator=seeded()), ENTROPIES),
    "galaxy": (lambda x: acquisition.galaxy(x.softmax(1), PARTLY_KNOWN, 20, generator=seeded()), LOGITS),
    "bait": (
        lambda x, z, c: acquisition.bait(x, z, 10, generator=seeded(), labelled=c, labelled_logits=z[: len(c)]),
        POOL,
        LOGITS,
        LABELLED,
    ),
    "alfa_mix": (
        lambda x, w, c: acquisition.alfa_mix(
            x, w, w[:, 0], 10, labelled=c, targets=torch.arange(len(c)) % len(w), generator=seeded()
        ),
        POOL,
        WEIGHT,
        LABELLED,
    ),
    "smallest_mixing": (
        lambda x, w, c: acquisition.smallest_mixing(x, w, w[:, 0], c, torch.arange(len(c)) % len(w)),
        POOL,
        WEIGHT,
        LABELLED,
    ),
    "logits_within_class": (lambda d, z: acquisition.logits_within_class(d, z.argmax(1)), LABELLEDNESS, LOGITS[:200]),
    "variation_ratio": (acquisition.variation_ratio, PASSES),
    "choose_by_rule": (lambda d, h: acquisition.choose_by_rule("product", d, h, 20), LABELLEDNESS, ENTROPIES),
    **{
        rule.__name__: (lambda d, h, rule=rule: rule(d, h, 20), LABELLEDNESS, ENTROPIES)
        for rule in acquisition.RULES.values()
    },
}


def test_no_pass_of_bald_waits_for_the_device(device):
    accumulator = acquisition.BaldAccumulator()
    with device() as places:
        passes = PASSES.to("cuda")
        places.waits.clear()
        for logits_NK in passes:
            accumulator.update(logits_NK)
        assert places.waits == []


def test_all_public_names_are_here():
    assert {name.split()[0] for name in CASES} == set(acquisition.__all__) - TYPES - ON_NO_DEVICE


@pytest.mark.parametrize("name", CASES)
def test_the_device_changes_nothing(name, device, monkeypatch):
    monkeypatch.setattr(bounded_products, "WORTHWHILE", 0)
    function, *inputs = CASES[name]
    expected = function(*inputs)
    with device():
        found = function(*(values.to("cuda") for values in inputs))
        assert found.is_cuda
        assert torch.equal(found.cpu(), expected)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if len(case) == 3])
def test_the_second_input_may_lie_elsewhere(name, device):
    function, first, second = CASES[name]
    expected = function(first, second)
    with device():
        for moved in ((first.to("cuda"), second), (first, second.to("cuda"))):
            assert torch.equal(function(*moved).cpu(), expected)
