"""Page and its files: a template, styles and scripts, none from another site."""

from functools import cache

import jinja2
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from minimax_al.web.assets import page_assets
from minimax_al.web.instructions import render_instructions
from minimax_al.web.overview import campaign_name
from minimax_al.web.roles import TheRole
from minimax_al.web.state import TheCampaign

router = APIRouter(tags=["page"])


@router.get("/", response_class=HTMLResponse)
def page(campaign: TheCampaign, role: TheRole) -> str:
    """Return the page; it reads all that changes from the API."""
    return _template().render(
        name=campaign_name(campaign.folder),
        task=campaign.settings.task,
        classes=list(campaign.classes),
        role=role,
        team_page=campaign.settings.team_page,
        assets=page_assets(),
        instructions=render_instructions(campaign),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("minimax_al.web"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("index.html.jinja")
