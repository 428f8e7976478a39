"""Computation of a map in a process of its own: `python -m minimax_al.web.map_job FOLDER`. Loads no torch.

It reads the order as JSON from standard input and writes lines of JSON, as `minimax_al.web.job` does.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from minimax_al.campaign import Campaign
from minimax_al.exploring.explorer import Explorer
from minimax_al.exploring.projection import MapMethod, write_map
from minimax_al.web.child import run_as_child, tell


def main() -> int:
    """Compute the map of the order; return 0 on success and 1 on failure."""
    return run_as_child(compute)


def compute(folder: Path, storage: str | None, order: Mapping[str, Any], out: TextIO) -> str:
    """Compute and store a map.

    Args:
        folder: Campaign folder.
        storage: URL of the database with its password; None for the one in the folder.
        order: Order, of which `method` is the method of the map.
        out: Stream for progress.

    Returns:
        The result, in one sentence.

    Raises:
        MinimaxALError: The map cannot be computed.
    """
    method: MapMethod = order["method"]

    def progress(what: str, done: int, total: int, unit: str) -> None:
        tell(out, training=what, epoch=done, epochs=total, unit=unit)

    with Campaign.open(folder, storage) as campaign:
        found = Explorer(campaign.context).compute_map(method, progress)
        write_map(campaign.folder, method, found)
    return f"the map shows {len(found.items):,} images"


if __name__ == "__main__":
    sys.exit(main())
