"""Computation of a map in a process of its own: `python -m minimax_al.web.map_job FOLDER`. Loads no torch.

It reads the order as JSON from standard input and writes lines of JSON, as `minimax_al.web.job` does.
"""

import json
import sys
from pathlib import Path
from threading import Thread

from minimax_al.campaign import Campaign
from minimax_al.errors import MinimaxALError
from minimax_al.exploring.explorer import Explorer
from minimax_al.exploring.projection import MapMethod, write_map
from minimax_al.web.child import end_with_input, reserve_output, tell


def main() -> int:
    """Compute the map of the order; return 0 on success and 1 on failure."""
    order = json.loads(sys.stdin.readline())
    Thread(target=end_with_input, daemon=True).start()
    out = reserve_output()
    method: MapMethod = order["method"]

    def progress(what: str, done: int, total: int, unit: str) -> None:
        tell(out, training=what, epoch=done, epochs=total, unit=unit)

    try:
        with Campaign.open(Path(sys.argv[1]), order["storage"]) as campaign:
            found = Explorer(campaign.context).compute_map(method, progress)
            write_map(campaign.folder, method, found)
    except MinimaxALError as error:
        tell(out, state="failed", message=str(error))
        return 1
    except Exception as error:
        tell(out, state="failed", message=f"{type(error).__name__}: {error}; see the server's log")
        raise
    tell(out, state="done", message=f"the map shows {len(found.items):,} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
