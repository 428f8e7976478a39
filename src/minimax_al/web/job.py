"""Job in a process of its own: `python -m minimax_al.web.job FOLDER`, with the order as JSON on standard input.

It writes lines of JSON: each finished epoch, then the result. When its input closes, the server has ended, and the job
ends too; the next training resumes an interrupted one.
"""

import sys
from pathlib import Path
from typing import TextIO

from minimax_al.campaign import Campaign
from minimax_al.vocabulary import Progress
from minimax_al.web.child import run_as_child, tell
from minimax_al.web.models import JobOrder


def main() -> int:
    """Run the job of the order; return 0 on success and 1 on failure."""
    return run_as_child(lambda folder, storage, order, out: run(folder, storage, JobOrder.model_validate(order), out))


def run(folder: Path, storage: str | None, order: JobOrder, out: TextIO) -> str:
    """Run a job.

    Args:
        folder: Campaign folder.
        storage: URL of the database with its password; None for the one in the folder.
        order: Job to run.
        out: Stream for progress.

    Returns:
        The result, in one sentence.

    Raises:
        MinimaxALError: The job is not possible.
    """

    def progress(what: str, done: int, total: int, unit: str) -> None:
        tell(out, training=what, epoch=done, epochs=total, unit=unit)

    with Campaign.open(folder, storage) as campaign:
        return _query(campaign, order, progress) if order.kind == "query" else _train(campaign, order, progress)


def _train(campaign: Campaign, order: JobOrder, progress: Progress) -> str:
    model = campaign.train(order.strategy, progress)
    score = "" if model.score is None else f": {model.metric_name} {model.score:.1%} {model.measurement}"
    return f"trained on {model.labels:,} labels{score}"


def _query(campaign: Campaign, order: JobOrder, progress: Progress) -> str:
    state = campaign.query(order.budget, order.strategy, order.random_share, progress)
    return f"round {state.number} is open: {state.picks:,} images by {state.strategy}"


if __name__ == "__main__":
    sys.exit(main())
