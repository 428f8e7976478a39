"""Routes for annotators: lease images, answer, undo, review."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Query

from minimax_al.campaign import Campaign, Pick
from minimax_al.errors import CampaignError, DataError
from minimax_al.web.idempotency import RequestKey
from minimax_al.web.models import (
    Answered,
    AnswerKind,
    Author,
    Items,
    Labelled,
    LabelRequest,
    Leased,
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
from minimax_al.web.roles import TheRole
from minimax_al.web.state import TheCampaign, TheState

router = APIRouter(prefix="/api", tags=["labelling"], responses=declared(400, 408, 413, 422))


@router.post("/lease")
def lease(order: LeaseRequest, campaign: TheCampaign, state: TheState) -> Leased:
    """Lease images to an annotator; those held already come first and are renewed."""
    pages = state.seats.take(order.author, order.session)
    found = campaign.lease(order.author, order.count, session=order.session, seconds=order.seconds)
    return Leased(**vars(found), pages=pages)


@router.post("/release")
def release(order: ReleaseRequest, campaign: TheCampaign, state: TheState) -> Released:
    """Return all images that an annotator holds to the queue."""
    state.seats.leave(order.author, order.session)
    return Released(released=campaign.release(order.author, session=order.session))


@router.post("/label", responses=declared(404))
def label(asked: LabelRequest, campaign: TheCampaign, key: RequestKey, role: TheRole) -> Labelled:
    """Label images with a class, whether or not another annotator holds them.

    Only managers change the answers of other annotators.
    """
    items = asked.distinct
    with known_images():
        late = campaign.label(
            items,
            asked.class_name,
            asked.author,
            request=key,
            if_waiting=asked.if_waiting,
            own_only=role != "manager",
            origin=asked.origin,
            class_id=asked.class_id,
        )
    return Labelled(labelled=len(items) - len(late), answered_before=late)


@router.post("/skip", responses=declared(404))
def skip(asked: Items, campaign: TheCampaign, key: RequestKey) -> Answered:
    """Skip images in this round; a later round may pick them again."""
    with known_images():
        campaign.skip(asked.distinct, asked.author, request=key, origin="page")
    return Answered(answered=len(asked.distinct))


@router.post("/unsure", responses=declared(404))
def unsure(asked: UnsureRequest, campaign: TheCampaign, key: RequestKey, role: TheRole) -> Answered:
    """Record the answer "unsure" for images."""
    items = asked.distinct
    with known_images():
        late = campaign.unsure(
            items,
            asked.author,
            request=key,
            if_waiting=asked.if_waiting,
            own_only=role != "manager",
            origin="page",
        )
    return Answered(answered=len(items) - len(late), answered_before=late)


@router.post("/undo", responses=declared(404))
def undo(asked: UndoRequest, campaign: TheCampaign, key: RequestKey) -> Undone:
    """Revoke an annotator's last answer. A retry without an idempotency key revokes the one before, too."""
    with known_images():
        undone = campaign.undo(
            asked.author,
            asked.item,
            request=key,
            kind=asked.kind,
            class_name=asked.class_name,
            class_id=asked.class_id,
        )
    return Undone(**undone._asdict(), pick=_pick_of(campaign, undone.item))


@router.get("/picks", responses=declared(404))
def picks(
    campaign: TheCampaign,
    role: TheRole,
    *,
    round: Annotated[RoundNumber | None, Query(description="Number of the round; by default the latest")] = None,  # noqa: A002
    answer: AnswerKind | None = None,
    class_name: Annotated[str | None, Query(description="Class of the current label")] = None,
    author: Annotated[Author | None, Query(description="Author of the answer; annotators see their own alone")] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> PickList:
    """Return a page of a round's picks, filtered, by rank.

    The annotator's link gives the answered images of `author`, and those that wait.
    """
    if round is not None:
        _check_round(campaign, round)
    matching = [
        pick
        for pick in campaign.picks(round)
        if answer in (None, pick.answer) and class_name in (None, pick.class_name)
    ]
    if author is not None or role != "manager":
        by = campaign.authors([pick.item for pick in matching if pick.answer != "waiting"])
        matching = [pick for pick in matching if pick.answer == "waiting" or by.get(pick.item) == author]
    return PickList(picks=matching[offset : offset + limit], total=len(matching))


@contextmanager
def known_images() -> Iterator[None]:
    """Answer 404 for images that do not exist: the only reason for a `DataError` here."""
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
    except DataError:  # no round has picked it: an imported label, for example
        return None
