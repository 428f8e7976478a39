"""Print one pip constraint per dependency: the lowest version that pyproject.toml allows.

    python .ci/lowest_versions.py campaign export > constraints.txt

The arguments are extras, beside the dependencies that are always installed.
"""

import re
import sys
import tomllib
from pathlib import Path

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?>=(?P<lowest>[\w.]+)")


def lowest_versions(pyproject: str, extras: list[str]) -> dict[str, str]:
    """Return the lowest version of each dependency by its name.

    Args:
        pyproject: Text of pyproject.toml.
        extras: Extras whose packages are constrained, too.
    """
    project = tomllib.loads(pyproject)["project"]
    optional = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(one for extra in extras for one in optional[extra])]
    found = [match for one in requirements if (match := _REQUIREMENT.match(one))]
    return {match["name"]: match["lowest"] for match in found}


if __name__ == "__main__":
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    for name, lowest in lowest_versions(text, sys.argv[1:]).items():
        sys.stdout.write(f"{name}=={lowest}\n")
