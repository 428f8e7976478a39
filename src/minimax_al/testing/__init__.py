"""The contract that every strategy must keep, for authors of strategies and for our own.

In a test of your package:

    from minimax_al.testing import check_strategy

    def test_contract():
        check_strategy("my_strategy")

or, to see every check by itself, `@pytest.mark.parametrize("check", CHECKS)` and
`check_strategy("my_strategy", checks=[check])`. Nothing here needs pytest.
"""

from minimax_al.testing.contract import CHECKS, check_strategy
from minimax_al.testing.stage import Stage, make_round

__all__ = ["CHECKS", "Stage", "check_strategy", "make_round"]
