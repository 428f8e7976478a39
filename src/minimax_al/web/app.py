"""Application: routes, middleware and exception handlers."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

from minimax_al.campaign import Campaign
from minimax_al.data.masks.superpixels import SUPERPIXELS, SuperpixelFiles
from minimax_al.exploring.explorer import Explorer
from minimax_al.web import (
    assets,
    class_editing,
    images,
    instructions,
    labelling,
    likeliest,
    live,
    maps,
    mask_conflicts,
    masks,
    overview,
    page,
    pixels,
    pool,
    team,
    transfer,
    work,
)
from minimax_al.web.bodies import BodyLimit
from minimax_al.web.cache import SharedCache
from minimax_al.web.jobs import MAP_COMMAND, Jobs
from minimax_al.web.learner import Learner
from minimax_al.web.refusals import add_exception_handlers, declared
from minimax_al.web.roles import Tokens
from minimax_al.web.security import (
    HEADERS,
    LOOPBACK,
    AnswerHeaders,
    Gate,
    known_host,
    same_origin,
    token_needed,
)
from minimax_al.web.state import State

PARTS = (
    page,
    assets,
    overview,
    labelling,
    likeliest,
    live,
    images,
    instructions,
    masks,
    pixels,
    mask_conflicts,
    work,
    transfer,
    pool,
    maps,
    team,
    class_editing,
)
"""Modules with the routes of the page, each with a `router`."""


def create_app(
    campaign: Campaign,
    *,
    token: str | None = None,
    hosts: Collection[str] = LOOPBACK,
    jobs: Jobs | None = None,
    learner: Learner | None = None,
) -> FastAPI:
    """Return the labelling page of a campaign as an ASGI application.

    Args:
        campaign: Open campaign; the caller closes it after the application has stopped.
        token: Token of the manager's link, from which the annotator's is derived; every request must have one of
            them. None accepts all requests, as a manager's.
        hosts: Names and addresses of the server, without ports; "*" accepts any.
        jobs: Runner of trainings; by default each in a process of its own.
        learner: Live learner, which runs while the application does; None works in rounds.

    Returns:
        The application. It needs one worker process: two would not see each other's job.
    """
    superpixels = SuperpixelFiles(campaign.folder / SUPERPIXELS)
    state = State(
        campaign,
        jobs=jobs or Jobs(campaign),
        map_jobs=Jobs(campaign, MAP_COMMAND),
        explorer=Explorer(campaign.context),
        readings=SharedCache(campaign.status),
        superpixels=superpixels,
        learner=learner,
    )
    checks = [known_host(hosts), same_origin, *([token_needed(Tokens.of(token))] if token is not None else [])]
    app = FastAPI(
        title="minimax-al: labelling",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        lifespan=_with_processes,
        responses=declared(401, 403, 503),
        middleware=[
            Middleware(AnswerHeaders, headers=HEADERS),
            Middleware(Gate, checks=checks),
            Middleware(BodyLimit, uploads=("/api/import", "/api/masks/", "/api/drafts/")),
        ],
    )
    app.state.shared = state
    add_exception_handlers(app)
    for part in PARTS:
        app.include_router(part.router)
    app.include_router(work.managers)
    app.include_router(maps.managers)
    app.mount("/static", StaticFiles(directory=assets.STATIC), name="static")
    return app


@asynccontextmanager
async def _with_processes(app: FastAPI) -> AsyncIterator[None]:
    """Run the live learner while the application runs, and end it and the job afterwards."""
    state: State = app.state.shared
    if state.learner is not None:
        state.learner.start()
    yield
    if state.learner is not None:
        await to_thread.run_sync(state.learner.stop)
    await to_thread.run_sync(state.map_jobs.stop)
    await to_thread.run_sync(state.jobs.stop)
