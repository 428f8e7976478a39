"""Contract that every strategy must keep, as checks for the tests of a package.

All checks in one test:

    from minimax_al.testing import check_strategy

    def test_contract():
        check_strategy("my_strategy")

One test per check: `@pytest.mark.parametrize("check", CHECKS)` and `check_strategy("my_strategy", checks=[check])`.
The checks do not need pytest.
"""

from minimax_al.testing.contract import CHECKS, check_strategy
from minimax_al.testing.stage import Stage, make_round

__all__ = ["CHECKS", "Stage", "check_strategy", "make_round"]
