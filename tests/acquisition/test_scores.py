"""Scores of single samples against decimal arithmetic of 60 digits and float64 formulas."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimax_al.acquisition import (
    BaldAccumulator,
    bald,
    entropy,
    least_confidence,
    margin,
    pixel_entropy,
    variation_ratio,
)
from minimax_al.acquisition.scores import CHUNK_ELEMENTS
from minimax_al.errors import NonFiniteScoreError, ShapeError

SCORES = [entropy, margin, least_confidence]
logit_rows = st.integers(1, 4).flatmap(
    lambda classes: st.lists(
        st.lists(st.floats(-700, 700, width=32), min_size=classes, max_size=classes), min_size=1, max_size=4
    )
)


def decimal_scores(row):
    """Entropy, margin and least confidence of one row of logits, from the definitions."""
    with localcontext() as context:
        context.prec = 640  # 1 − p_max must be resolved down to e^-1400
        weights = [Decimal(value).exp() for value in row]
        probs = sorted((weight / sum(weights) for weight in weights), reverse=True)
        uncertainty = -sum(p * p.ln() for p in probs)
        runner_up = probs[1] if len(probs) > 1 else Decimal(0)
        return float(uncertainty), float(probs[0] - runner_up), float(sum(probs[1:], Decimal(0)))


@settings(max_examples=15, deadline=None)
@given(logit_rows)
def test_float64_scores_keep_their_relative_precision(rows):
    logits = torch.tensor(rows, dtype=torch.float64)
    expected = torch.tensor([decimal_scores(row) for row in rows], dtype=torch.float64)
    actual = torch.stack([score(logits) for score in SCORES], dim=1)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("score", SCORES)
def test_float32_scores_agree_with_float64(score):
    logits = torch.randn(500, 30, generator=torch.Generator().manual_seed(0)) * torch.logspace(-6, 1.2, 500)[:, None]
    torch.testing.assert_close(score(logits).double(), score(logits.double()), rtol=1e-4, atol=1e-37)


def test_margin_of_a_near_tie_keeps_its_digits():
    gap = 1e-12
    assert margin(torch.tensor([[1.0, 1.0 + gap]], dtype=torch.float64)).item() == pytest.approx(
        math.tanh((1.0 + gap - 1.0) / 2), rel=1e-14
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_underflowing_probabilities_give_finite_scores_of_zero_uncertainty(dtype):
    logits = torch.tensor(
        [[0.0, -1000.0], [1000.0, -1000.0], [torch.finfo(dtype).max, torch.finfo(dtype).min]], dtype=dtype
    )
    assert entropy(logits).tolist() == [0, 0, 0]
    assert margin(logits).tolist() == [1, 1, 1]
    assert least_confidence(logits).tolist() == [0, 0, 0]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(score, dtype):
    logits = torch.randn(50, 7).to(dtype)
    assert score(logits).dtype == torch.float32
    assert torch.equal(score(logits), score(logits.float()))


def test_equal_logits_are_the_most_uncertain():
    logits = torch.full((2, 5), 3.0, dtype=torch.float64)
    assert entropy(logits).tolist() == pytest.approx([math.log(5)] * 2)
    assert margin(logits).tolist() == [0, 0]
    assert math.copysign(1, margin(logits)[0]) == 1
    assert least_confidence(logits).tolist() == pytest.approx([0.8] * 2)


def test_one_class_is_certain():
    logits = torch.randn(3, 1)
    assert entropy(logits).tolist() == [0, 0, 0]
    assert margin(logits).tolist() == [1, 1, 1]
    assert least_confidence(logits).tolist() == [0, 0, 0]


@pytest.mark.parametrize("score", SCORES)
def test_chunks_arrays_views_and_graphs_change_nothing(score):
    classes = CHUNK_ELEMENTS // 64
    logits = torch.randn(150, classes, generator=torch.Generator().manual_seed(1))
    logits.requires_grad_()
    whole = score(logits)
    assert not whole.requires_grad
    rows = torch.cat([score(row[None]) for row in logits[::50]])
    torch.testing.assert_close(whole[::50], rows)
    array = logits.detach().numpy()
    array.flags.writeable = False
    assert torch.equal(score(array), whole)
    assert torch.equal(score(array[::-1]), whole.flip(0))


def test_scores_leave_their_input_alone():
    logits = torch.randn(4, 3)
    before = logits.clone()
    for score in SCORES:
        score(logits)
    assert torch.equal(logits, before)


@pytest.mark.parametrize("score", [*SCORES, pixel_entropy])
def test_an_empty_pool_has_no_scores(score):
    shape = (0, 4, 2, 2) if score is pixel_entropy else (0, 4)
    assert score(torch.empty(shape)).shape == (0,)


def test_an_empty_pool_has_no_ensemble_scores():
    assert bald(torch.empty(3, 0, 4)).shape == (0,)
    assert variation_ratio(torch.empty(3, 0, 4)).shape == (0,)


def test_pixel_entropy_is_the_mean_over_pixels():
    logits = torch.randn(3, 5, 4, 6, dtype=torch.float64)
    expected = entropy(logits.permute(0, 2, 3, 1).reshape(-1, 5)).reshape(3, -1).mean(dim=1)
    torch.testing.assert_close(pixel_entropy(logits), expected)


def brute_bald(logits):
    probs = logits.double().softmax(dim=2)
    mean = probs.mean(dim=0)
    return -torch.xlogy(mean, mean).sum(1) + torch.xlogy(probs, probs).sum(2).mean(0)


def test_bald_equals_the_formula():
    logits = 3 * torch.randn(20, 40, 10, dtype=torch.float64)
    torch.testing.assert_close(bald(logits), brute_bald(logits), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(bald(logits.float()).double(), brute_bald(logits), rtol=1e-5, atol=1e-6)


def test_bald_is_zero_without_disagreement_and_the_log_of_the_passes_with_full_disagreement():
    same = torch.randn(1, 9, 4).expand(5, 9, 4)
    assert bald(same).max() < 1e-7
    assert bald(same).min() >= 0
    split = 1e4 * torch.eye(4).reshape(4, 1, 4)
    assert bald(split).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_streamed_bald_equals_bald_at_once(dtype):
    logits = torch.randn(7, 30, 5).to(dtype)
    accumulator = BaldAccumulator()
    for one_pass in logits:
        accumulator.update(one_pass)
    assert accumulator.passes == 7
    torch.testing.assert_close(accumulator.result(), bald(logits), rtol=1e-4, atol=1e-6)
    assert torch.equal(accumulator.result(), accumulator.result())


def test_the_accumulator_keeps_its_own_memory():
    logits = torch.randn(6, 3)
    accumulator = BaldAccumulator()
    accumulator.update(logits)
    logits.zero_()
    accumulator.update(torch.zeros(6, 3))
    assert accumulator.result().max() > 0


def test_streamed_bald_of_pixels_is_that_of_each_pixel():
    logits = torch.randn(4, 3, 5, 2, 6)
    accumulator = BaldAccumulator()
    for one_pass in logits:
        accumulator.update(one_pass)
    of_each = bald(logits.movedim(2, -1).reshape(4, -1, 5)).view(3, 2, 6)
    torch.testing.assert_close(accumulator.result(), of_each, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bad_pass", range(3))
def test_streamed_bald_names_the_samples_of_any_bad_pass(bad, bad_pass):
    logits = torch.zeros(3, 9, 2, 4, 4)
    logits[bad_pass, 6, 1, 3, 2] = bad
    accumulator = BaldAccumulator()
    for one_pass in logits:
        accumulator.update(one_pass)
    with pytest.raises(NonFiniteScoreError, match="1 of 9 images, at positions 6;") as caught:
        accumulator.result()
    assert caught.value.positions == (6,)


def test_bald_in_chunks_equals_bald_at_once():
    logits = torch.randn(2, 5, CHUNK_ELEMENTS // 4)
    torch.testing.assert_close(bald(logits)[3:4], bald(logits[:, 3:4]))


def test_variation_ratio_counts_the_votes_against_the_commonest_class():
    votes = torch.tensor([[0, 1, 2], [0, 1, 0], [0, 2, 1], [0, 2, 0]])
    logits = torch.nn.functional.one_hot(votes, 3).double()
    assert variation_ratio(logits).tolist() == [0, 0.5, 0.5]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("score", SCORES)
def test_non_finite_logits_raise_with_all_their_positions(score, bad):
    logits = torch.zeros(100, CHUNK_ELEMENTS // 32)
    logits[[3, 60, 99], 1] = bad
    with pytest.raises(NonFiniteScoreError, match=r"logits are NaN .* 3 of 100 .* 3, 60, 99") as caught:
        score(logits)
    assert caught.value.positions == (3, 60, 99)


@pytest.mark.parametrize("score", [bald, variation_ratio])
def test_non_finite_logits_of_one_pass_name_the_sample(score):
    logits = torch.zeros(2, 8, 3)
    logits[1, 6, 0] = math.nan
    with pytest.raises(NonFiniteScoreError, match="positions 6;") as caught:
        score(logits)
    assert caught.value.positions == (6,)


def test_many_positions_are_cut_short():
    with pytest.raises(NonFiniteScoreError, match=r"0, 1, 2, 3, 4, …;") as caught:
        entropy(torch.full((50, 2), math.nan))
    assert caught.value.positions == tuple(range(10))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: entropy(torch.zeros(3)), r"shape \(N, K\), not \(3,\)"),
        (lambda: margin(torch.zeros(3, 2, 1)), r"shape \(N, K\), not \(3, 2, 1\)"),
        (lambda: least_confidence(torch.zeros(3, 0)), "nothing along K"),
        (lambda: pixel_entropy(torch.zeros(3, 2)), r"shape \(N, K, H, W\), not \(3, 2\)"),
        (lambda: bald(torch.zeros(3, 2)), r"shape \(T, N, K\), not \(3, 2\)"),
        (lambda: bald(torch.zeros(0, 3, 2)), "nothing along T"),
        (lambda: variation_ratio(torch.zeros(3)), r"shape \(T, N, K\)"),
        (lambda: entropy(torch.zeros(3, 2, dtype=torch.bool)), r"real numbers, not torch\.bool"),
        (lambda: entropy(torch.zeros(3, 2, dtype=torch.complex64)), r"real numbers, not torch\.complex64"),
        (lambda: entropy(np.array([["a", "b"]])), "real numbers, not an array of <U1"),
        (lambda: entropy(None), "real numbers, not NoneType"),
        (lambda: entropy([[1.0], [1.0, 2.0]]), "not a ragged list"),
        (lambda: BaldAccumulator().result(), "at least one pass"),
    ],
)
def test_wrong_shapes_and_kinds(call, match):
    with pytest.raises(ShapeError, match=match):
        call()


def test_passes_of_two_shapes():
    accumulator = BaldAccumulator()
    accumulator.update(torch.zeros(3, 2))
    with pytest.raises(ShapeError, match=r"shape \(2, 2\), the first pass had \(3, 2\)"):
        accumulator.update(torch.zeros(2, 2))
