"""Routes for the campaign as a whole: its facts and its status."""

import hashlib
import os
from pathlib import Path

from fastapi import APIRouter

from minimax_al.campaign import FORMATS, Campaign, RoundState, strategy_names
from minimax_al.errors import CampaignError
from minimax_al.report.class_colours import class_colours
from minimax_al.strategies.usual import USUAL
from minimax_al.web.models import CampaignInfo, Round, Status
from minimax_al.web.refusals import is_passing
from minimax_al.web.roles import TheRole
from minimax_al.web.state import TheState

router = APIRouter(prefix="/api", tags=["overview"])


@router.get("/campaign")
def info(state: TheState, role: TheRole) -> CampaignInfo:
    """Return name, task, classes, strategies and export formats."""
    campaign = state.campaign
    settings, classes = campaign.settings, campaign.class_ids
    return CampaignInfo(
        id=hashlib.blake2b(os.fsencode(campaign.folder.resolve()), digest_size=8).hexdigest(),
        name=campaign_name(campaign.folder),
        task=settings.task,
        classes=list(classes),
        class_ids=list(classes.values()),
        colours=[f"#{bytes(colour).hex()}" for colour in class_colours(len(classes))[: len(classes)]]
        if settings.task == "segmentation"
        else [],
        strategy=settings.strategy,
        usual=USUAL["features" if settings.features is not None else settings.task],
        strategies=sorted({*strategy_names(settings.task), settings.strategy}),
        lease_seconds=settings.lease_seconds,
        live=None if state.learner is None else state.learner.options,
        role=role,
        export_formats=[
            name for name, entry in FORMATS.items() if settings.task in entry.tasks and not entry.is_folder
        ],
    )


@router.get("/status")
def status(state: TheState) -> Status:
    """Return progress, classes, model, learning curve, advice, and the job.

    Round and job are current; in a very large campaign the rest may be some seconds old.
    """
    campaign, job = state.campaign, state.jobs.current
    latest = latest_round(campaign)
    version = (latest and (latest.number, latest.closed_at), job.state, job.started_at)
    read = state.readings.get(version)
    return Status(
        **{name: value for name, value in vars(read).items() if name != "round"},
        round=None if latest is None else Round.model_validate(latest),
        conflicts=campaign.count_conflicts(),
        curve=campaign.curve(),
        job=job,
    )


def latest_round(campaign: Campaign) -> RoundState | None:
    """Return the latest round; None before the first."""
    try:
        return campaign.round()
    except CampaignError as error:
        if is_passing(error):
            raise
        return None


def campaign_name(folder: Path) -> str:
    """Return the name of a campaign: that of its folder."""
    return folder.resolve().name
