"""Bounds hold on units that cut off where others round: tensor cores simulated, and rows that make them err most."""

import pytest
import torch

from minimax_al.acquisition.bounded_products import Products, _relative_error, sum_by_halves, summation_error

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


def cut(values, grid):
    return (values / grid).trunc() * grid


def last_bit(values):
    """The place of the last of 24 bits."""
    _, exponents = torch.frexp(values)
    return torch.ldexp(torch.ones_like(values), exponents.clamp(min=-120) - 24)


def multiplied(left, right, group):
    """`left @ right` as tensor cores take it (Fasi et al. 2021), before the result is rounded.

    Products are exact. A group of them and the sum so far are aligned to the largest and cut; so is their sum.
    """
    left, right = left.double(), right.double()
    total = left.new_zeros(len(left), right.shape[1])
    for begin in range(0, left.shape[1], group):
        part = slice(begin, begin + group)
        terms = torch.cat([total[:, None], left[:, part, None] * right[None, part]], dim=1)
        aligned = cut(terms, last_bit(terms.abs().amax(dim=1, keepdim=True)))
        total = aligned.sum(dim=1)
        total = cut(total, last_bit(total.abs()))
    return total


def one_large(n, d):
    """A large first factor: all other products fall just below its last bit."""
    rows = torch.full((n, d), 1.4140625 * 2.0**-12)
    rows[:, 0] = 1
    return rows


def cancelling(n, d):
    """Products that cancel: large norms, and distances that are small compared with the norms."""
    generator = torch.Generator().manual_seed(d)
    rows = torch.full((n, d), 181 / 128)
    rows[:, : d // 2] *= -1
    rows[::2] += 2.0**-7 * torch.randint(0, 2, (len(rows[::2]), d), generator=generator)
    return rows


def growing(n, d):
    """Sums that grow through all powers of two, so that each group loses bits."""
    return (2.0 ** (torch.arange(d) / 40 - d / 80)).bfloat16().float().expand(n, -1).clone()


def of_any_sizes(n, d):
    generator = torch.Generator().manual_seed(d)
    scales = 2.0 ** torch.randint(-12, 1, (n, d), generator=generator)
    return (torch.randn(n, d, generator=generator) * scales).bfloat16().float()


KINDS = [one_large, cancelling, growing, of_any_sizes]
GROUPS = [1, 4, 8, 16]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 30, 700])
def test_a_cut_sum_stays_within_its_bound(kind, group, width):
    rows = kind(12, width)
    exact = rows.double() @ rows.double().T
    sizes = rows.double().abs() @ rows.double().abs().T
    off = (multiplied(rows, rows.T, group) - exact).abs()
    assert bool((off <= summation_error(width, CUDA) * sizes).all())


def test_cutting_errs_beyond_what_rounding_to_nearest_can():
    rows = one_large(2, 700)
    off = (multiplied(rows, rows.T, 4) - rows.double() @ rows.double().T).abs()
    assert bool((off > summation_error(700, CPU) * (rows.double().square().sum(dim=1))).all())


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 30, 700])
def test_no_distance_is_beyond_its_reach(kind, group, width):
    """Rows that are exact in bfloat16, and sums that are not rounded to it: nothing but the slack is left."""
    rows = kind(12, width)
    bounds = Products(rows, rows[:0])
    bounds.mean.zero_()
    bounds.slack, bounds.dtype = _relative_error(width, CUDA), torch.bfloat16
    samples, centers = bounds.row_factors(rows, torch.arange(12)), bounds.center_factors(rows, torch.arange(12))
    assert float(centers.residual) == 0
    entries = multiplied(samples.values, centers.values.T, group)
    bounds.dtype = torch.float32
    for center in range(12):
        distances = bounds.distances(rows, rows[center].expand(12, -1))
        assert bool((entries[:, center] <= bounds.reach(samples, centers, distances)).all())


@pytest.mark.parametrize("width", [1, 2, 3, 7, 64, 129])
def test_equal_rows_have_equal_sums_wherever_they_lie(width):
    """Sums by halves use additions alone, whose order the width decides."""
    generator = torch.Generator().manual_seed(width)
    row = torch.rand(width, generator=generator, dtype=torch.float64)
    alone = sum_by_halves(row[None])
    torch.testing.assert_close(alone, row.sum()[None], rtol=1e-14, atol=0)
    many = torch.rand(50, width, generator=generator, dtype=torch.float64)
    many[[0, 17, 49]] = row
    assert sum_by_halves(many)[[0, 17, 49]].tolist() == alone.tolist() * 3
    assert many[17].equal(row)
