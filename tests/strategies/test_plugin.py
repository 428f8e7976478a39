"""A strategy in a package of its own, exactly as docs/write_a_strategy.md shows it."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from minimax_al.errors import ConfigurationError
from minimax_al.loop import ActiveLearner
from minimax_al.strategies import get_strategy, list_strategies, registry
from minimax_al.testing import check_strategy, make_round

PAGE = Path(__file__).parents[2] / "docs" / "write_a_strategy.md"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install the package of the page as an installer would: its code and its entry points."""

    def install(folder, name="far_margin"):
        blocks = dict(re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL))
        code = blocks["far_margin/strategy.py"]
        points = tomllib.loads(blocks["pyproject.toml"])["project"]["entry-points"]["minimax_al.strategies"]
        package, metadata = tmp_path / folder / name, tmp_path / folder / f"{name}-1.0.dist-info"
        package.mkdir(parents=True)
        metadata.mkdir()
        (package / "__init__.py").touch()
        (package / "strategy.py").write_text(code, encoding="utf-8")
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{key} = {value.replace('far_margin', name)}" for key, value in points.items()]
        (metadata / "entry_points.txt").write_text("\n".join(["[minimax_al.strategies]", *lines]))
        monkeypatch.syspath_prepend(tmp_path / folder)
        registry._announced.cache_clear()
        return code

    yield install
    registry._announced.cache_clear()
    for module in [name for name in sys.modules if name.partition(".")[0] in {"far_margin", "other_package"}]:
        del sys.modules[module]


def test_the_page_installs_in_under_thirty_lines_and_is_used_by_name(installed):
    assert len(installed("site").splitlines()) < 30
    assert "far_margin" in list_strategies()
    check_strategy("far_margin")
    check_strategy("far_margin+mal")
    round_ = make_round()
    learner = ActiveLearner(round_.dataset, get_strategy("far_margin", weight=1.0), round_.recipe)
    learner.teach(round_.labelled, round_.dataset.train_targets[round_.labelled])
    learner.fit()
    assert len(set(learner.query(4).indices.tolist())) == 4


def test_two_packages_of_one_name_are_an_error(installed):
    installed("first")
    assert get_strategy("far_margin").weight == 0.5
    installed("second", name="other_package")
    with pytest.raises(ConfigurationError, match=r"two strategies are called 'far_margin': .*; uninstall one"):
        get_strategy("far_margin")
