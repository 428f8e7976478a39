"""What people do: take images, say what they show, take it back, look over what was said."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Query

from minimax_al.campaign import Campaign, Lease, Pick
from minimax_al.errors import CampaignError, DataError
from minimax_al.web.idempotency import RequestWord
from minimax_al.web.models import (
    Answered,
    AnswerKind,
    Items,
    Labelled,
    LabelRequest,
    LeaseRequest,
    PickList,
    Released,
    ReleaseRequest,
    RoundNumber,
    Undone,
    UndoRequest,
    UnsureRequest,
)
from minimax_al.web.refusals import declared, is_passing, not_found
from minimax_al.web.state import TheCampaign

router = APIRouter(prefix="/api", tags=["labelling"], responses=declared(400, 408, 413, 422))


@router.post("/lease")
def lease(asked: LeaseRequest, campaign: TheCampaign) -> Lease:
    """Keeps images for somebody; those that they hold already come first, and are kept longer."""
    return campaign.lease(asked.author, asked.count, session=asked.session, seconds=asked.seconds)


@router.post("/release")
def release(asked: ReleaseRequest, campaign: TheCampaign) -> Released:
    """Gives back everything that somebody holds."""
    return Released(released=campaign.release(asked.author, session=asked.session))


@router.post("/label", responses=declared(404))
def label(asked: LabelRequest, campaign: TheCampaign, word: RequestWord) -> Labelled:
    """Labels images with a class, whether somebody else holds them or not."""
    items = asked.distinct
    with _known_images():
        late = campaign.label(items, asked.class_name, asked.author, request=word, if_waiting=asked.if_waiting)
    return Labelled(labelled=len(items) - len(late), answered_before=late)


@router.post("/skip", responses=declared(404))
def skip(asked: Items, campaign: TheCampaign, word: RequestWord) -> Answered:
    """Leaves images out of this round; a later one may ask again."""
    with _known_images():
        campaign.skip(asked.distinct, asked.author, request=word)
    return Answered(answered=len(asked.distinct))


@router.post("/unsure", responses=declared(404))
def unsure(asked: UnsureRequest, campaign: TheCampaign, word: RequestWord) -> Answered:
    """Says that nobody can tell what images show."""
    items = asked.distinct
    with _known_images():
        late = campaign.unsure(items, asked.author, request=word, if_waiting=asked.if_waiting)
    return Answered(answered=len(items) - len(late), answered_before=late)


@router.post("/undo", responses=declared(404))
def undo(asked: UndoRequest, campaign: TheCampaign, word: RequestWord) -> Undone:
    """Takes back what somebody said last. Without a key, a request that is sent again takes back what was before."""
    with _known_images():
        undone = campaign.undo(asked.author, asked.item, request=word, kind=asked.kind, class_name=asked.class_name)
    return Undone(**undone._asdict(), pick=_pick_of(campaign, undone.item))


@router.get("/picks", responses=declared(404))
def picks(
    campaign: TheCampaign,
    *,
    round: Annotated[RoundNumber | None, Query(description="by default the latest")] = None,  # noqa: A002
    answer: AnswerKind | None = None,
    class_name: Annotated[str | None, Query(description="of the label that holds")] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> PickList:
    """The images of a round in order, filtered, a page of them."""
    if round is not None:
        _check_round(campaign, round)
    matching = [
        pick
        for pick in campaign.picks(round)
        if answer in (None, pick.answer) and class_name in (None, pick.class_name)
    ]
    return PickList(picks=matching[offset : offset + limit], total=len(matching))


@contextmanager
def _known_images() -> Iterator[None]:
    """404 for images that are not there: of all that a campaign refuses, only that is a `DataError` here."""
    try:
        yield
    except DataError as error:
        raise not_found(error) from error


def _check_round(campaign: Campaign, number: int) -> None:
    try:
        campaign.round(number)
    except CampaignError as error:
        if is_passing(error):
            raise
        raise not_found(error) from error


def _pick_of(campaign: Campaign, item: int) -> Pick | None:
    try:
        return campaign.pick(item)
    except DataError:  # an imported label, say, that was taken back
        return None
