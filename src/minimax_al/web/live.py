"""Route of live labelling: the learner's published state, in one short answer."""

from fastapi import APIRouter
from fastapi.responses import Response

from minimax_al.web.images import KnownTag, has_tag, unchanged
from minimax_al.web.models import Live
from minimax_al.web.refusals import declared
from minimax_al.web.state import TheState

router = APIRouter(prefix="/api", tags=["live"])


@router.get("/live", response_model=Live, responses={**declared(422), 304: {"description": "The page knows it"}})
def live(state: TheState, known: KnownTag = None) -> Response:
    """Return the state of live labelling and the suggestions for all waiting images."""
    body, tag = state.live.get(state.campaign, state.learner)
    if has_tag(known, tag):
        return unchanged(tag)
    return Response(body, media_type="application/json", headers={"ETag": tag})
