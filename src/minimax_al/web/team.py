"""Routes for managers of a team: conflicts between annotators, and the page with speed and agreement."""

from functools import cache
from typing import Annotated, Literal

import jinja2
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic import Field

from minimax_al.campaign.opinions.two_opinions import Answer as GivenAnswer
from minimax_al.web.idempotency import RequestKey
from minimax_al.web.labelling import known_images
from minimax_al.web.models import Answer, Answered, ChosenClass, Items, ReplaceDecision
from minimax_al.web.overview import campaign_name
from minimax_al.web.refusals import declared, meanwhile, not_found
from minimax_al.web.roles import ManagerOnly
from minimax_al.web.state import TheCampaign

router = APIRouter(tags=["team"], dependencies=[ManagerOnly])


class DecideRequest(Items):
    """Request to decide conflicts."""

    class_name: Annotated[
        str | None, Field(min_length=1, max_length=1000, description="Class of the images; null for unsure")
    ]
    class_id: ChosenClass = None
    replace: ReplaceDecision = False


class Conflict(Answer):
    """Image about which two annotators disagree."""

    item: int
    path: str
    reason: Literal["overlap", "unsure"]
    first: GivenAnswer
    second: GivenAnswer
    agreement: Annotated[
        float | None, Field(description="Share of the drawn pixels with the same class in both masks; None for classes")
    ]


@router.get("/api/conflicts")
def conflicts(campaign: TheCampaign) -> list[Conflict]:
    """Return the images about which two annotators disagree, the first conflict first."""
    return [Conflict.model_validate(found) for found in campaign.two_opinions("conflict")]


@router.post("/api/decide", responses=declared(400, 404, 408, 409, 413, 422))
def decide(asked: DecideRequest, campaign: TheCampaign, key: RequestKey) -> Answered:
    """Decide conflicts: the answer replaces those of both annotators.

    All images are refused with 409 if another manager has decided one of them, or if one is not a conflict any more.
    """
    with known_images(), meanwhile():
        campaign.decide(
            asked.distinct,
            asked.class_name,
            asked.author,
            replace=asked.replace,
            request=key,
            class_id=asked.class_id,
        )
    return Answered(answered=len(asked.distinct))


@router.get("/team", response_class=HTMLResponse, responses=declared(404))
def team(campaign: TheCampaign) -> str:
    """Return a page with each annotator's speed and agreement; the setting `team_page` switches it on."""
    if not campaign.settings.team_page:
        raise not_found(f"the page is off: switch it on with 'mal configure {campaign.folder} team_page=true'")
    settings = campaign.settings
    return _template().render(
        name=campaign_name(campaign.folder),
        team=campaign.team(),
        overlap=settings.overlap,
        task=settings.task,
        least=settings.mask_agreement,
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("minimax_al.web"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.0f} %"
    return environment.get_template("team.html.jinja")
