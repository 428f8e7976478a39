"""No temporary grows with N·L, N·N or N·K·d: the largest new tensor of each function is bounded."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from minimax_al.acquisition import badge, bald, batchbald, entropy, intersection, k_center_greedy
from minimax_al.acquisition.scores import CHUNK_ELEMENTS


class LargestNewTensor(TorchDispatchMode):
    """Records the bytes of the largest storage that any operation allocates."""

    def __init__(self, *given):
        super().__init__()
        self.known = {x.untyped_storage().data_ptr() for x in given}
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        results = function(*args, **(kwargs or {}))
        for result in tree_leaves(results):
            if isinstance(result, torch.Tensor) and result.untyped_storage().data_ptr() not in self.known:
                self.bytes = max(self.bytes, result.untyped_storage().nbytes())
        return results


def test_k_center_holds_a_fraction_of_the_features():
    generator = torch.Generator().manual_seed(0)
    features, centers = (torch.randn(n, 512, generator=generator) for n in (30_000, 2_000))
    with LargestNewTensor(features, centers) as largest:
        k_center_greedy(features, 40, centers)
    assert largest.bytes < features.nbytes / 10


def test_badge_never_forms_outer_products():
    generator = torch.Generator().manual_seed(0)
    logits, features = torch.randn(30_000, 40, generator=generator), torch.randn(30_000, 50, generator=generator)
    with LargestNewTensor(logits, features) as largest:
        badge(logits, features, 300, generator)
    assert largest.bytes <= 1024 * 1024 * 8
    assert largest.bytes < logits.nbytes + features.nbytes


def test_batchbald_stays_within_its_bytes():
    logits = torch.randn(10, 400, 8, generator=torch.Generator().manual_seed(0))
    limit = 600_000
    with LargestNewTensor(logits) as largest:
        batchbald(logits, 8, num_samples=10_000, max_bytes=limit, generator=torch.Generator().manual_seed(0))
    assert largest.bytes <= limit


def test_scores_are_computed_in_chunks():
    logits_NK, logits_TNK = torch.zeros(40_000, 128), torch.zeros(10, 40_000, 16)
    with LargestNewTensor(logits_NK, logits_TNK) as largest:
        entropy(logits_NK)
        bald(logits_TNK)
    assert largest.bytes <= 4 * CHUNK_ELEMENTS


def test_rules_hold_one_number_per_sample():
    scores = torch.randn(2, 50_000, generator=torch.Generator().manual_seed(0))
    with LargestNewTensor(scores) as largest:
        intersection(scores[0], scores[1], 1000)
    assert largest.bytes <= 8 * 50_000
