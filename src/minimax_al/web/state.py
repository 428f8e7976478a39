"""What all routes share: the campaign, the job, what was read or made already."""

import os
from dataclasses import dataclass, field
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from minimax_al.campaign import Campaign, Status
from minimax_al.web.cache import SharedReading
from minimax_al.web.jobs import Jobs
from minimax_al.web.thumbnails import Thumbnails


@dataclass(frozen=True)
class State:
    """What all routes share.

    Attributes:
        campaign: open.
        jobs: the one that runs, if one does.
        readings: of the campaign's status.
        thumbnails: those made so far.
        decoders: how many images are decoded at a time.
    """

    campaign: Campaign
    jobs: Jobs
    readings: SharedReading[Status]
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    decoders: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(max(2, os.cpu_count() or 2)))


# Coroutines, so that nobody waits for a thread to look up an attribute.
async def _state(request: Request) -> State:
    state: State = request.app.state.shared
    return state


async def _campaign(request: Request) -> Campaign:
    return (await _state(request)).campaign


async def _jobs(request: Request) -> Jobs:
    return (await _state(request)).jobs


TheState = Annotated[State, Depends(_state)]
TheCampaign = Annotated[Campaign, Depends(_campaign)]
TheJobs = Annotated[Jobs, Depends(_jobs)]
