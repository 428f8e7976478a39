"""Bounds of squared distances from matrix products in low precision, with proven error bounds.

‖x − c‖² = ‖x‖² + ‖c‖² − 2⟨x, c⟩ takes one matrix product for all pairs, but rounding can cancel most of it. Here the
product only decides which distances can be at most a given one; the caller computes these few in float64.

The product is taken in bfloat16 where the device has units for it, since the error stays bounded: with x̂ and ĉ the
rounded rows, |⟨x̂, ĉ⟩ − ⟨x, c⟩| ≤ ‖x̂ − x‖·‖ĉ‖ + ‖x‖·‖ĉ − c‖, and all four lengths are measured. ‖c‖² is part of the
product, as two more factors next to factors of 1, so that it is added in float32. The rounding of the result is
monotone: an entry at most t is still at most the rounded t.

The order of summation depends on the device. Where every addition of two numbers rounds to nearest, in whatever order,
a sum of n terms is off by at most n·u·Σ|term|, u = 2⁻²⁴. Tensor cores round otherwise (Fasi, Higham, Mikaitis and
Pranesh, Numerical behavior of NVIDIA tensor cores, 2021): products are exact; a group of them and the sum so far are
aligned to the largest, what falls below its last bit is cut off (newer ones keep a few bits more), and the group's sum
is cut to 24 bits. An addition of k numbers thus loses less than 2u·max|number| for each that is not the largest and
2u·|sum| at its end, together 2u·k·Σ|number|. In a tree that adds up n terms the k − 1 sum up to n − 1, and k is at most
2(k − 1): it is off by at most 4n·u·Σ|term|, whatever the groups and their order.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple

import torch
from torch import Tensor

from minimax_al.acquisition.rows import Rows, check_finite_rows, device_of, dtype_of, spans

CHUNK_ROWS = 256
"""Rows that are converted at a time, so that they stay in the cache."""
UNDERFLOW = 1e-30
"""Upper bound of the underflow in a squared distance in float32; scaled features are below 1."""
ALIGNMENT = 8
"""Products are fastest where the number of factors is a multiple of this."""
TILES = {"cpu": (32, 256), "cuda": (256, 4096)}
"""Numbers of rows in one product: few sizes, since a CPU's library compiles and keeps a kernel for each."""
CENTERS_ALIGNMENT = 256
"""Products have a multiple of this number of centres, for the same reason."""
WORTHWHILE = 1 << 22
"""Numbers in a pool from which bfloat16 pays; below that, the setup takes longer than it saves."""
NOWHERE = 1e38
"""Entry of a filler: beyond any reach."""

_SETTING = Lock()
_BEFORE: list[bool] = []
"""Setting that each open `accumulating_in_float32` block found; the first is the user's."""


class Factors(NamedTuple):
    """One side of a product.

    Attributes:
        values: Rounded rows, shape (n, d + 2), filled up to a multiple of 8 columns.
        norms: Lower bounds of ‖x‖², shape (n,) float64; empty for centres.
        length: Upper bounds of ‖x‖: shape (n,) for rows, the largest one for centres.
        residual: Upper bounds of ‖x̂ − x‖: shape (n,) for rows, the largest one for centres.
    """

    values: Tensor
    norms: Tensor
    length: Tensor
    residual: Tensor

    def without_values(self, rows: Tensor) -> "Factors":
        """Return the norms, lengths and residuals of some rows, which is what `reach` reads."""
        return Factors(self.values[:0], self.norms[rows], self.length[rows], self.residual[rows])


class Products:
    """Factors of rows, and bounds from their products.

    Args:
        features: Features of the pool, shape (N, d).
        centers: Features of the centres, shape (L, d).

    Attributes:
        mean: Mean of the features, shape (d,) float64; subtracted so that norms are not huge compared with distances.
        scale: Power of two that brings all values below 1; distances are squared distances of scaled rows.
        slack: ε with |computed − true| ≤ ε·(‖x‖² + ‖c‖²) for a squared distance computed in float32.
        dtype: Dtype of the factors: bfloat16 where that pays, else float32.
    """

    def __init__(self, features: Rows, centers: Rows) -> None:
        self.mean, self.scale = _mean_and_scale(features, centers)
        # One dtype for all rows: the subtracted mean must be the same number everywhere.
        given = torch.promote_types(dtype_of(features), dtype_of(centers))
        self.working = torch.promote_types(given, torch.float32)
        device = device_of(features)
        self.slack = _relative_error(features.shape[1], device)
        worthwhile = len(features) * features.shape[1] >= WORTHWHILE and multiplies_bfloat16(device)
        self.dtype = torch.bfloat16 if worthwhile else torch.float32

    def prepare(self, rows: Tensor) -> Tensor:
        """Return rows in float32, centred and scaled."""
        # Scaled first, or the difference of two large values may overflow; a power of two rounds nothing.
        return (rows.to(self.working) * self.scale - (self.mean * self.scale).to(self.working)).float()

    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        """Return squared distances of paired rows in float64, by differences of the given features."""
        difference = first.double() * self.scale - second.double() * self.scale
        squares = difference.contiguous().square_()
        # Equal rows must add up in the same order, and so to the same bits. On the CPU they do, row by row in memory.
        return squares.sum(dim=1) if squares.device.type == "cpu" else sum_by_halves(squares)

    def uncertainty_of_mean(self, count: int) -> float:
        """Return the upper bound of the rounding error of a mean over `count` rows, in scaled units.

        A distance to the mean has the same bound. It holds for a mean over several processes too.
        """
        # Chunks are added up one after the other; values are below 1 in each of the d dimensions.
        additions = CHUNK_ROWS + count / CHUNK_ROWS + len(self.mean) + 8
        return additions * torch.finfo(torch.float64).eps * math.sqrt(len(self.mean))

    def row_factors(self, source: Rows, rows: Tensor) -> Factors:
        """Return the factors of some rows of a source, with two columns of 1 for the centres' norms."""
        factors = self._factors(source, rows)
        factors.values[:, source.shape[1] :] = 1
        return factors

    def center_factors(self, source: Rows, rows: Tensor) -> Factors:
        """Return the factors −2c, and ‖c‖² in two parts; filled up with centres that are near to no row."""
        width = source.shape[1]
        values, norms, length, residual = self._factors(source, rows, alignment=CENTERS_ALIGNMENT)
        values[:, :width] *= -2
        # The first part is ‖c‖² rounded down, the second the remainder; the loss of both is below 2⁻¹⁶ of the whole.
        lower = norms * (1 - 2.0**-15)
        values[: len(rows), width] = lower
        values[: len(rows), width + 1] = lower - values[: len(rows), width]
        values[len(rows) :, width] = NOWHERE
        return Factors(values, norms[:0], length.max(), residual.max())

    def entries(self, factors: Factors, rows: Tensor, centers: Factors) -> Tensor:
        """Return the product of some rows of a block with centres, (rows, centres and fillers)."""
        small, large = TILES.get(rows.device.type, TILES["cpu"])
        # The last row is repeated, so that tiles have two sizes only.
        padded = torch.cat([rows, rows[-1:].expand(-len(rows) % small)])
        whole = len(padded) - len(padded) % large
        entries = factors.values.new_empty((len(padded), len(centers.values)))
        for part, size in ((slice(whole), large), (slice(whole, None), small)):
            for tile, out in zip(padded[part].split(size), entries[part].split(size), strict=True):
                if len(tile):
                    torch.mm(factors.values[tile], centers.values.T, out=out)
        return entries[: len(rows)]

    def reach(self, factors: Factors, centers: Factors, bound: Tensor) -> Tensor:
        """Return the largest entry that a distance of at most `bound` can have, for each row, (n,)."""
        # ‖x − c‖² ≤ bound implies ‖c‖² − 2⟨x, c⟩ ≤ bound − ‖x‖², and rounded factors add at most twice the margin.
        margin = factors.residual * centers.length + factors.length * centers.residual
        reach = bound - factors.norms + (2 * margin + UNDERFLOW)
        # Rounded up by one unit of the entries' dtype.
        return (reach + torch.finfo(self.dtype).eps * reach.abs()).to(self.dtype)

    def _factors(self, source: Rows, rows: Tensor, alignment: int = 1) -> Factors:
        """Return rounded rows with bounds of their norms, lengths and residuals."""
        width = source.shape[1]
        shape = _aligned(len(rows), alignment), _aligned(width + 2, ALIGNMENT)
        values = torch.zeros(shape, dtype=self.dtype, device=rows.device)
        norms, residual = torch.empty((2, len(rows)), dtype=torch.float64, device=rows.device)
        for begin in range(0, len(rows), CHUNK_ROWS):
            part = slice(begin, begin + CHUNK_ROWS)
            prepared = self.prepare(source[rows[part]])
            rounded = values[begin : begin + len(prepared), :width]
            rounded.copy_(prepared)
            norms[part] = prepared.square().sum(dim=1)
            residual[part] = prepared.sub_(rounded).square_().sum(dim=1)
        # The rounding of lengths and residuals is far below slack; a rounded row is longer by less than 2⁻⁷.
        above = 1 + self.slack
        return Factors(values, norms * (1 - self.slack), norms.sqrt() * above * (1 + 2.0**-7), residual.sqrt_() * above)


def sum_by_halves(rows_ND: Tensor) -> Tensor:
    """Return the sum of each row, (N,), in one order on every device and for any number of rows.

    A reduction on CUDA adds up in an order that depends on the number of rows and on their addresses.
    """
    while (width := rows_ND.shape[1]) > 1:
        half = width // 2
        folded = rows_ND[:, :half] + rows_ND[:, half : 2 * half]
        if width % 2:
            folded[:, 0] += rows_ND[:, -1]
        rows_ND = folded
    return rows_ND[:, 0]


def _aligned(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


@contextmanager
def accumulating_in_float32() -> Iterator[None]:
    """Forbid products in bfloat16 to add up parts in bfloat16, which CUDA otherwise may.

    The setting belongs to the process: it stays until the last thread inside such a block has left it.
    """
    matmul = torch.backends.cuda.matmul
    with _SETTING:
        _BEFORE.append(matmul.allow_bf16_reduced_precision_reduction)
        matmul.allow_bf16_reduced_precision_reduction = False
    try:
        yield
    finally:
        with _SETTING:
            before = _BEFORE.pop()
            if not _BEFORE:
                matmul.allow_bf16_reduced_precision_reduction = before


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether the device has units for products in bfloat16 that add up in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Torch has no public name for these checks yet; a CPU without them counts as one without such units.
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and any(check() for check in checks if check)


def _mean_and_scale(features: Rows, centers: Rows) -> tuple[Tensor, float]:
    """Return the mean of the features, (d,) float64, and a power of two that brings all values below 1."""
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=device_of(features))
    wide = dtype_of(features) == torch.float64
    largest = 0.0
    for name, rows in (("features", features), ("centers", centers)):
        for span in spans(len(rows), CHUNK_ROWS):
            chunk = rows[span]
            low, high = torch.aminmax(chunk)
            extent = max(-float(low), float(high))
            if not extent < math.inf:
                check_finite_rows(rows, name)
            largest = max(largest, extent)
            if rows is features:
                # In float64 itself a sum of large values may overflow, a sum of their shares does not.
                share = chunk / len(features) if wide else chunk
                total += share.sum(dim=0, dtype=torch.float64)
    mean = total if wide else total / max(len(features), 1)
    # The scale itself must be a float32.
    return mean, 2.0 ** -max(-120, math.frexp(largest)[1])


def _relative_error(width: int, device: torch.device) -> float:
    """Return the slack of a product that adds up in float32.

    The terms of a product are at most 2‖x‖‖c‖ + ‖c‖² together, so at most 2(‖x‖² + ‖c‖²); norms err by d·u, centring
    and scaling by a few u more. Where the user allows float32 products of reduced precision, factors are rounded to
    that precision.
    """
    unit = torch.finfo(torch.float32).eps / 2
    return 2 * summation_error(width + 16, device) + 2 * width * unit + 3 * operand_error(device)


def summation_error(terms: int, device: torch.device) -> float:
    """Return the upper bound of a float32 product's rounding error, as a share of the sum of its terms' sizes."""
    unit = torch.finfo(torch.float32).eps / 2
    return terms * unit * (4 if device.type == "cuda" else 1)


def operand_error(device: torch.device) -> float:
    """Return the upper bound of the relative rounding of each factor before a float32 product."""
    operand = {"none": 0.0, "ieee": 0.0, "highest": 0.0, "tf32": 2.0**-10, "high": 2.0**-10}
    return operand.get(_product_precision(device), 2.0**-7)


def _product_precision(device: torch.device) -> str:
    if device.type == "cuda" and os.environ.get("NVIDIA_TF32_OVERRIDE") == "1":
        return "tf32"  # decided below torch, which does not know of it
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    setting = getattr(getattr(backend, "matmul", None), "fp32_precision", None)
    return str(setting) if setting is not None else torch.get_float32_matmul_precision()  # before PyTorch 2.9
