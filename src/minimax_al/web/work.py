"""Routes for jobs and rounds: train, query, close, recall."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter

from minimax_al.campaign import Campaign, RoundState
from minimax_al.web.models import Closed, Job, JobOrder, Released, RoundRequest
from minimax_al.web.overview import latest_round
from minimax_al.web.refusals import as_conflict, conflict, declared
from minimax_al.web.roles import ManagerOnly
from minimax_al.web.state import TheCampaign, TheJobs, TheState

router = APIRouter(prefix="/api", tags=["work"])
managers = APIRouter(prefix="/api", tags=["work"], dependencies=[ManagerOnly])


@managers.post("/jobs", status_code=202, responses=declared(400, 408, 409, 413, 422))
def start_job(order: JobOrder, campaign: TheCampaign, jobs: TheJobs, state: TheState) -> Job:
    """Start a training or a query; `GET /api/job` returns its progress."""
    if order.kind == "query" and state.learner is not None:
        raise conflict("the live learner chooses the images by itself: start the page with --rounds to choose rounds")
    if order.kind == "query" and (open_round := _open_round(campaign)) is not None:
        raise conflict(
            f"round {open_round.number} is still open: {open_round.waiting} of {open_round.picks} images wait for an "
            "answer; label or skip them, or close the round"
        )
    with as_conflict():
        return jobs.start(order)


@router.get("/job")
async def job(jobs: TheJobs) -> Job:
    """Return the running job, or the last one that this server ran."""
    return jobs.current


@managers.post("/close-round", responses=declared(400, 408, 409, 413, 422))
def close_round(order: RoundRequest, campaign: TheCampaign) -> Closed:
    """Close a round if it is the open one; its unanswered images may be picked again."""
    with _open(campaign):
        campaign.close_round(order.round)
    return Closed(closed=order.round)


@managers.post("/recall", responses=declared(400, 408, 409, 413, 422))
def recall(order: RoundRequest, campaign: TheCampaign) -> Released:
    """Recall the open round's images from Label Studio: they are leased here again, and stay there, too."""
    with _open(campaign):
        return Released(released=campaign.recall(order.round))


@contextmanager
def _open(campaign: Campaign) -> Iterator[None]:
    """Answer 409 if no round is open, or another than the one requested."""
    if _open_round(campaign) is None:
        raise conflict("no round is open")
    with as_conflict():
        yield


def _open_round(campaign: Campaign) -> RoundState | None:
    latest = latest_round(campaign)
    return latest if latest is not None and latest.is_open else None
