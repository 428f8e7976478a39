"""Classes of rows of the pool, looked up without a pass over all classes per row."""

from types import SimpleNamespace

import numpy as np

from minimax_al.exploring.pool_view import PoolView


class Counted(dict):
    """Classes that count how often they are iterated over."""

    passes = 0

    def __iter__(self):
        self.passes += 1
        return super().__iter__()

    def items(self):
        self.passes += 1
        return super().items()


def test_classes_of_many_rows_take_one_pass_over_the_classes():
    rows = 300
    ids = Counted({f"class {number}": 10 * number for number in range(40)})
    is_mask = np.arange(rows) % 2 == 1
    table = SimpleNamespace(
        mask=is_mask, label_id=np.arange(rows), class_id=np.where(is_mask, -1, 10 * (np.arange(rows) % 41))
    )
    numbers = {row: (row % 40, 39, 70) for row in range(rows)}  # number 70 is a class that has left
    nothing = np.zeros(rows, bool)
    view = PoolView(table, None, ids, nothing, nothing, nothing, numbers)
    for row in range(rows):
        expected = [f"class {row % 40}", "class 39"] if is_mask[row] else [f"class {row % 41}"] * (row % 41 < 40)
        assert view.classes_of(row) == expected
    assert ids.passes <= 2
