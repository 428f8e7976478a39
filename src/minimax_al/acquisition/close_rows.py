"""Which rows of a matrix are close: distances from blocked products, decided in float64 where rounding could matter.

‖x − y‖² = ‖x‖² + ‖y‖² − 2⟨x, y⟩ takes one matrix product for all pairs of two blocks. The product is taken in bfloat16
where the device has units for it, else in float32. `DistanceBlocks.error` bounds what rounding can change, so only
pairs within this bound of a threshold are measured again, by differences in float64. Decisions are those of float64.
"""

import torch
from torch import Tensor

from minimax_al.acquisition.bounded_products import Products, summation_error
from minimax_al.acquisition.rows import BLOCK_ROWS, Rows, device_of, spans

BLOCK_NUMBERS = 1 << 24
"""Distances that are held at once."""
PAIRS = 1 << 12
"""Pairs whose distances are measured in float64 at once."""


class DistanceBlocks:
    """Squared distances between blocks of rows, with a bound of their error.

    Rows are centred and scaled by a power of two; all distances are in this unit, `unit` = scale². Memory: the rows in
    the product's dtype and a block of distances.

    Args:
        rows: Matrix of n rows, shape (n, d), any real dtype.

    Attributes:
        unit: Factor from the features' squared distances to these.
        error: Bound of |computed − true| for each row against any other, shape (n,) float32.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.products = Products(rows, rows[:0])
        self.unit = self.products.scale**2
        device = device_of(rows)
        self.values = torch.empty(tuple(rows.shape), dtype=self.products.dtype, device=device)
        self.norms, lengths, residuals = torch.empty((3, len(rows)), device=device)
        for span in spans(len(rows), BLOCK_ROWS):
            prepared = self.products.prepare(rows[span])
            self.values[span] = prepared
            self.norms[span] = prepared.square().sum(dim=1)
            residuals[span] = (prepared - self.values[span]).square_().sum(dim=1).sqrt_()
            lengths[span] = self.norms[span].sqrt()
        self.error = self._error(lengths, residuals)

    def _error(self, lengths: Tensor, residuals: Tensor) -> Tensor:
        """Return the bound of every row's errors.

        With rounded rows x̂ = x + r: |⟨x̂, ŷ⟩ − ⟨x, y⟩| ≤ ‖r_x‖·‖ŷ‖ + ‖x‖·‖r_y‖. The sum over d terms errs by a share of
        ‖x̂‖·‖ŷ‖, and so does the product's own rounding to its dtype. Both count twice in the distance.
        """
        longest, worst = lengths.max() + residuals.max(), residuals.max()
        rounding = summation_error(self.rows.shape[1] + 16, lengths.device) + torch.finfo(self.values.dtype).eps / 2
        of_product = residuals * longest + lengths * worst + rounding * (lengths + residuals) * longest
        of_norms = self.products.slack * (lengths.square() + longest.square())
        # A little more than both, for the rounding of this bound itself and of the last sum.
        return (2 * of_product + of_norms) * 1.01

    def squared(self, first: Tensor | slice, second: Tensor | slice) -> Tensor:
        """Return computed squared distances of two blocks, (A, B) float32; off by at most `error` of either row."""
        return self.relative(first, second).add_(self.norms[first][:, None])

    def relative(self, first: Tensor | slice, second: Tensor | slice) -> Tensor:
        """Return ‖y‖² − 2⟨x, y⟩, (A, B) float32, which orders the distances of each row x of the first block."""
        return torch.sub(self.norms[second], self.values[first] @ self.values[second].T, alpha=2)

    def exact(self, first: Tensor, second: Tensor) -> Tensor:
        """Return squared distances of paired rows by differences in float64, (n,)."""
        pairs = zip(first.split(PAIRS), second.split(PAIRS), strict=True)
        parts = [self.products.distances(self.rows[i], self.rows[j]) for i, j in pairs]
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.float64, device=first.device)

    def closer(self, first: Tensor, second: Tensor, squared: float) -> Tensor:
        """Return which pairs of two blocks are closer than √squared, (A, B) bool, exactly; a row is close to itself."""
        distances, error = self.squared(first, second), self.error[first][:, None]
        close = distances < squared - error
        # Rounding could decide the rest: these pairs are measured.
        unsure = ((distances <= squared + error) & ~close).nonzero()
        i, j = unsure.unbind(dim=1)
        close[i, j] = self.exact(first[i], second[j]) < squared
        return close
