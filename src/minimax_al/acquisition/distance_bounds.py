"""Bounds of the distances between a few rows, from float32 products with a proven error bound.

‖x − y‖² = ‖x‖² + ‖y‖² − 2⟨x, y⟩. The computed value differs from the true one by at most slack·(‖x‖² + ‖y‖²) plus
underflow, so adding that much to it, or subtracting it, gives a bound.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from minimax_al.acquisition.bounded_products import UNDERFLOW


class DistanceBounds:
    """Lower and upper bounds of the squared distances between a few rows; NumPy, since they are read one by one.

    Args:
        prepared: Centred and scaled rows, shape (n, d) float32.
        slack: Share of ‖x‖² + ‖y‖² by which a computed distance can be wrong.
    """

    def __init__(self, prepared: Tensor, slack: float) -> None:
        self.slack = slack
        self.norms: NDArray[np.float32] = prepared.square().sum(dim=1).cpu().numpy()
        self.products: NDArray[np.float32] = (prepared @ prepared.T).cpu().numpy()

    def lower(self, row: int) -> NDArray[np.float32]:
        """Return lower bounds of the squared distances from one row to all, (n,)."""
        bounds: NDArray[np.float32] = (1 - self.slack) * (self.norms[row] + self.norms) - 2 * self.products[row]
        return np.subtract(bounds, UNDERFLOW, out=bounds)

    def upper(self, row: int) -> NDArray[np.float32]:
        """Return upper bounds of the squared distances from one row to all, (n,)."""
        bounds: NDArray[np.float32] = (1 + self.slack) * (self.norms[row] + self.norms) - 2 * self.products[row]
        return np.add(bounds, UNDERFLOW, out=bounds)

    def lower_of(self, rows: list[int], other: int) -> NDArray[np.float32]:
        """Return `lower(row)[other]` for each of `rows`."""
        sums = self.norms[rows] + self.norms[other]
        bounds: NDArray[np.float32] = (1 - self.slack) * sums - 2 * self.products[rows, other]
        return np.subtract(bounds, UNDERFLOW, out=bounds)
