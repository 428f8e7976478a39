"""State that all routes share."""

from dataclasses import dataclass, field
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from minimax_al.campaign import Campaign, Status
from minimax_al.cores import available_cores
from minimax_al.data.masks.superpixels import SuperpixelFiles
from minimax_al.exploring.explorer import Explorer
from minimax_al.web.cache import SharedCache
from minimax_al.web.jobs import Jobs
from minimax_al.web.learner import Learner
from minimax_al.web.live_readings import LiveReadings
from minimax_al.web.seats import Seats
from minimax_al.web.thumbnails import Thumbnails


@dataclass(frozen=True)
class State:
    """State that all routes share.

    Attributes:
        campaign: Open campaign.
        jobs: Runner of the job.
        map_jobs: Runner of the computation of a map: neither a training nor an answer waits for it.
        explorer: Reader of the whole pool.
        readings: Cache of the campaign's status.
        superpixels: Superpixels of the images, computed when they are requested.
        learner: Live learner; None if the page works in rounds.
        live: Shared readings of the live state.
        seats: Pages that ask for images.
        thumbnails: Cache of thumbnails.
        decoders: Limit of concurrent decodings.
    """

    campaign: Campaign
    jobs: Jobs
    map_jobs: Jobs
    explorer: Explorer
    readings: SharedCache[Status]
    superpixels: SuperpixelFiles
    learner: Learner | None = None
    live: LiveReadings = field(default_factory=LiveReadings)
    seats: Seats = field(default_factory=Seats)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    decoders: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(max(2, available_cores())))


# Coroutines: FastAPI would run plain functions in a thread.
async def _state(request: Request) -> State:
    state: State = request.app.state.shared
    return state


async def _campaign(request: Request) -> Campaign:
    return (await _state(request)).campaign


async def _jobs(request: Request) -> Jobs:
    return (await _state(request)).jobs


async def _map_jobs(request: Request) -> Jobs:
    return (await _state(request)).map_jobs


async def _explorer(request: Request) -> Explorer:
    return (await _state(request)).explorer


TheState = Annotated[State, Depends(_state)]
TheCampaign = Annotated[Campaign, Depends(_campaign)]
TheJobs = Annotated[Jobs, Depends(_jobs)]
TheMapJobs = Annotated[Jobs, Depends(_map_jobs)]
TheExplorer = Annotated[Explorer, Depends(_explorer)]
