"""Routes about many images at once: search, likeness, candidates of a class, all labels."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from minimax_al.campaign.answers.leases import Holder
from minimax_al.campaign.store.history import Origin
from minimax_al.errors import DataError, UnknownNameError
from minimax_al.exploring.bulk import CandidateOrder, count_candidates, find_candidates
from minimax_al.exploring.explorer import Subset
from minimax_al.exploring.label_list import (
    LabelFilter,
    LabelKind,
    LabelOrder,
    ModelOpinion,
    count_labels,
    find_labels,
)
from minimax_al.web.models import Author, RoundNumber, Session
from minimax_al.web.pool_models import (
    MOST,
    Candidates,
    FoundImages,
    ImagesRequest,
    LabelPage,
    NeighboursRequest,
    Ordered,
    SearchText,
)
from minimax_al.web.refusals import as_conflict, declared, not_found
from minimax_al.web.roles import Role, TheRole
from minimax_al.web.state import TheCampaign, TheExplorer

router = APIRouter(prefix="/api", tags=["pool"], responses=declared(400, 408, 413, 422))

Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]
Limit = Annotated[int, Query(ge=1, le=MOST)]
ClassName = Annotated[str, Query(min_length=1, max_length=1000)]


def _hidden(role: Role) -> str | None:
    """Return the only author whose answers are shown: none on the annotator's link, so that nobody sees another's."""
    return None if role == "manager" else ""


@router.get("/candidates")
def candidates(
    explorer: TheExplorer,
    campaign: TheCampaign,
    *,
    class_name: ClassName,
    order: CandidateOrder = "sure",
    author: Annotated[Author | None, Query()] = None,
    session: Annotated[Session, Query()] = None,
    offset: Offset = 0,
    limit: Limit = 48,
) -> Candidates:
    """Return the unlabelled images that today's model takes for a class, most or least sure first.

    Images of the random sample that still wait, and images on another annotator's screen, are left out.
    """
    holder = None if author is None else Holder(author, session)
    view = explorer.view(campaign.lease_clock(), holder)
    if class_name not in view.class_ids:
        raise UnknownNameError("class", class_name, view.class_ids)
    rows = find_candidates(view, class_name, order)
    unanswered = view.unanswered
    return Candidates(
        images=view.describe(rows[offset : offset + limit]),
        total=len(rows),
        run=view.opinions.run,
        predicted=int((unanswered & view.opinions.covered).sum()),
        unlabelled=int(unanswered.sum()),
        classes=count_candidates(view),
    )


@router.get("/labels")
def labels(
    explorer: TheExplorer,
    *,
    kind: LabelKind = "label",
    search: Annotated[SearchText, Query()] = "",
    author: Annotated[str | None, Query(max_length=1000)] = None,
    class_name: Annotated[str | None, Query(max_length=1000)] = None,
    origin: Annotated[
        Literal[Origin, "unknown"] | None,
        Query(description="How the answer came; unknown in older campaigns"),
    ] = None,
    round: Annotated[RoundNumber | None, Query(description="Last round that picked the image")] = None,  # noqa: A002
    opinion: Annotated[ModelOpinion, Query(description="Opinion of today's model on the label")] = "any",
    low: Annotated[float, Query(ge=0, le=1, description="Least confidence of today's model")] = 0.0,
    high: Annotated[float, Query(ge=0, le=1, description="Largest confidence of today's model")] = 1.0,
    order: LabelOrder = "suspicion",
    role: TheRole,
    offset: Offset = 0,
    limit: Limit = 100,
) -> LabelPage:
    """Return a page of all answers, imported ones too, filtered and ordered by today's model's disagreement.

    The annotator's link gives the answers of `author` alone.
    """
    view = explorer.view()
    own = None if role == "manager" else author or ""
    author = author if own is None else own
    conditions = LabelFilter(kind, search, author, class_name, origin, round, opinion, low, high)
    rows = find_labels(view, conditions, order)
    return LabelPage(
        images=view.describe(rows[offset : offset + limit]),
        total=len(rows),
        counts=count_labels(view, own),
        run=view.opinions.run,
    )


@router.get("/search")
def search(
    explorer: TheExplorer,
    role: TheRole,
    *,
    text: Annotated[SearchText, Query()] = "",
    wanted: Subset = "all",
    offset: Offset = 0,
    limit: Limit = 60,
) -> FoundImages:
    """Return the images whose path or label contains all words, by path."""
    view = explorer.view()
    rows = explorer.search(view, text, wanted, in_labels=role == "manager")
    return FoundImages(images=view.describe(rows[offset : offset + limit], only_of=_hidden(role)), total=len(rows))


@router.post("/look-up")
def look_up(order: ImagesRequest, explorer: TheExplorer, role: TheRole) -> FoundImages:
    """Return some images by id, in the given order; unknown ones are left out."""
    view = explorer.view()
    rows = view.table.find(list(dict.fromkeys(order.items)))
    rows = rows[rows >= 0]
    return FoundImages(images=view.describe(rows, only_of=_hidden(role)), total=len(rows))


@router.post("/neighbours", responses=declared(404, 409))
def neighbours(order: NeighboursRequest, explorer: TheExplorer, role: TheRole) -> FoundImages:
    """Return the images that are most similar to examples, by cosine similarity of their features."""
    view = explorer.view()
    with as_conflict():
        try:
            rows, similarities = explorer.neighbours(view, order.items, order.wanted, order.offset + order.limit)
        except DataError as error:
            raise not_found(error) from error
    page = slice(order.offset, order.offset + order.limit)
    images = view.describe(rows[page], similarities[page], only_of=_hidden(role))
    return FoundImages(images=images, total=len(rows))


@router.post("/likeness", responses=declared(409))
def likeness(order: ImagesRequest, explorer: TheExplorer) -> Ordered:
    """Return the images in an order in which similar ones follow one another."""
    with as_conflict():
        return Ordered(items=explorer.order_by_likeness(explorer.view(), list(dict.fromkeys(order.items))))
