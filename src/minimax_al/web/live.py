"""Route of live labelling: what the learner has published, in one short answer."""

from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import Response

from minimax_al.web.models import Live
from minimax_al.web.state import TheState

router = APIRouter(prefix="/api", tags=["live"])


@router.get("/live", response_model=Live, responses={304: {"description": "The page knows it"}})
def live(
    state: TheState,
    known: Annotated[str | None, Header(alias="If-None-Match", description="ETag of the answer before")] = None,
) -> Response:
    """Return the state of live labelling and the suggestions for all waiting images."""
    body, tag = state.live.get(state.campaign, state.learner)
    if known == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, media_type="application/json", headers={"ETag": tag})
