"""Runner of maps: neither a training nor an answer waits for the computation of a map."""

import sys
from typing import Annotated

from fastapi import Depends, Request

from minimax_al.web.jobs import Jobs

COMMAND = (sys.executable, "-m", "minimax_al.web.map_job")


async def _map_jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.map_jobs
    return jobs


TheMapJobs = Annotated[Jobs, Depends(_map_jobs)]
