"""A job in a process of its own: `python -m minimax_al.web.job FOLDER`, with the order as JSON on standard input.

It writes lines of JSON: the epochs as they finish, at last how it ended. When its input closes, the server is gone,
and so is the job; a training that was interrupted goes on where it was the next time.
"""

import json
import os
import sys
from pathlib import Path
from threading import Thread
from typing import Any, TextIO

from minimax_al.campaign import Campaign
from minimax_al.errors import MinimaxALError
from minimax_al.vocabulary import Progress
from minimax_al.web.models import JobOrder


def main() -> int:
    """Does what the order says; the exit status is 0 where it was done, 1 where it could not be."""
    order = json.loads(sys.stdin.readline())
    storage = order.pop("storage")
    Thread(target=_end_with_input, daemon=True).start()
    out = _take_output()
    try:
        message = run(Path(sys.argv[1]), storage, JobOrder.model_validate(order), out)
    except MinimaxALError as error:
        _tell(out, state="failed", message=str(error))
        return 1
    except Exception as error:
        _tell(out, state="failed", message=f"{type(error).__name__}: {error}; the server's log says where")
        raise
    _tell(out, state="done", message=message)
    return 0


def run(folder: Path, storage: str | None, order: JobOrder, out: TextIO) -> str:
    """Does a job.

    Args:
        folder: of the campaign.
        storage: URL of its database, where the folder does not say all of it.
        order: what to do.
        out: where epochs are told.

    Returns:
        What has come of it, in a sentence.

    Raises:
        MinimaxALError: it cannot be done; says why.
    """

    def progress(what: str, done: int, total: int, unit: str) -> None:
        _tell(out, training=what, epoch=done, epochs=total, unit=unit)

    with Campaign.open(folder, storage) as campaign:
        return _query(campaign, order, progress) if order.kind == "query" else _train(campaign, order, progress)


def _train(campaign: Campaign, order: JobOrder, progress: Progress) -> str:
    model = campaign.train(order.strategy, progress)
    score = "" if model.score is None else f": {model.metric_name} {model.score:.1%} on {model.held_out:,} images"
    return f"trained on {model.labels:,} labels{score}"


def _query(campaign: Campaign, order: JobOrder, progress: Progress) -> str:
    state = campaign.query(order.budget, order.strategy, order.random_share, progress)
    return f"round {state.number} is open: {state.picks:,} images by {state.strategy}"


def _tell(out: TextIO, **told: Any) -> None:  # noqa: ANN401 - fields of `Job`
    out.write(json.dumps(told) + "\n")
    out.flush()


def _take_output() -> TextIO:
    """Standard output, for progress alone: whatever else is printed there, by C libraries too, goes to the log."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return out


def _end_with_input() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)  # from a thread nothing else ends a training that is in the midst of a step


if __name__ == "__main__":
    sys.exit(main())
