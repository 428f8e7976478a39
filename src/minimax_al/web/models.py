"""Requests and answers of the server that are not a campaign's own objects.

Requests are validated strictly: an unknown field, or a number in quotes, is refused. Answers that a campaign has as
dataclasses (`Pick`, `Lease`, `Advice`, …) are sent as they are; a model here describes an answer of the server's own.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from minimax_al.campaign import Advice, ClassCount, CurvePoint, ModelState, Pick
from minimax_al.campaign.rounds.live_state import LiveOptions, LiveState
from minimax_al.campaign.store.history import Kind
from minimax_al.exploring.projection import MapMethod
from minimax_al.vocabulary import Task

ItemId = Annotated[int, Field(ge=1, le=2**31 - 1, description="Id of an image")]
RoundNumber = Annotated[int, Field(ge=1, le=2**31 - 1, description="Number of a round, from 1")]
Author = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$"),
    Field(description="Name of the annotator, as given on the page"),
]
Session = Annotated[
    str | None,
    Field(
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Identifier of the annotator's browser: two browsers under one name hold different images",
    ),
]
ReplaceDecision = Annotated[
    bool,
    Field(description="Whether to replace decisions of other managers, and answers that are not a conflict"),
]
AnswerKind = Literal["waiting", "label", "unsure", "skip"]
JobKind = Literal["train", "query"]


class Request(BaseModel):
    """Body of a request."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ReleaseRequest(Request):
    """Request to return all images that an annotator holds."""

    author: Author
    session: Session = None


class LeaseRequest(ReleaseRequest):
    """Request for images."""

    count: Annotated[int, Field(ge=1, le=200, description="Largest number of images")]
    seconds: Annotated[
        int | None, Field(ge=1, le=86_400, description="Duration of the lease, at most the campaign's `lease_seconds`")
    ] = None


class Items(Request):
    """Request about some images."""

    author: Author
    items: Annotated[list[ItemId], Field(min_length=1, max_length=200)]

    @property
    def distinct(self) -> list[int]:
        """The images without repetitions, in their order."""
        return list(dict.fromkeys(self.items))


IfWaiting = Annotated[
    bool,
    Field(description="Whether the client knows of no answer: images answered meanwhile keep their answer"),
]


class UnsureRequest(Items):
    """Request to record the answer "unsure"."""

    if_waiting: IfWaiting = False


ClassName = Annotated[str, Field(min_length=1, max_length=1000, description="Name of a class")]


ChosenClass = Annotated[
    int | None,
    Field(ge=0, le=2**63 - 1, description="Id of the class when it was chosen: renames do not change it"),
]


class LabelRequest(UnsureRequest):
    """Request to label some images with a class."""

    class_name: Annotated[str, Field(min_length=1, max_length=1000)]
    class_id: ChosenClass = None
    origin: Annotated[
        Literal["page", "bulk"],
        Field(description="bulk: the model suggested the class, and several images were confirmed at once"),
    ] = "page"


class UndoRequest(Request):
    """Request to revoke the last answer, or the last one about one image."""

    author: Author
    item: ItemId | None = None
    kind: Annotated[
        Kind | None,
        Field(description="Revoke it only if it is of this kind: the author may have given another elsewhere"),
    ] = None
    class_name: Annotated[
        str | None, Field(min_length=1, max_length=1000, description="Revoke it only if it is a label of this class")
    ] = None
    class_id: ChosenClass = None


class JobOrder(Request):
    """Request to start a job."""

    kind: Annotated[
        JobKind, Field(description="Train on the labels, or choose the next round and train first if necessary")
    ]
    budget: Annotated[int, Field(ge=1, le=2**31 - 1, description="Number of images of a query")] = 100
    strategy: Annotated[str | None, Field(max_length=200, description="Strategy; by default the campaign's")] = None
    random_share: Annotated[float, Field(ge=0, le=1, description="Share of a query's images drawn at random")] = 0.0


class MapOrder(Request):
    """Request to compute a map of the pool."""

    kind: Literal["map"] = "map"
    method: MapMethod


class RoundRequest(Request):
    """Request about the open round; refused if another round is open than the page shows."""

    round: RoundNumber


class Answer(BaseModel):
    """Body of an answer."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Refusal(Answer):
    """Reason why a request was refused."""

    error: Annotated[str, Field(description="One sentence")]


class Released(Answer):
    """Number of images that were returned to the queue."""

    released: int


class Leased(Answer):
    """Images kept for an annotator's page."""

    picks: tuple[Pick, ...]
    until: datetime
    waiting: Annotated[int, Field(description="Number of unanswered images of the open rounds, these included")]
    with_others: int
    next_free_at: datetime | None
    lent: int
    pages: Annotated[int, Field(description="Number of pages that have asked for images in the last minute")]


AnsweredBefore = Annotated[list[int], Field(description="Images that keep an earlier answer, see `if_waiting`")]


class Labelled(Answer):
    """Number of images that have the label now."""

    labelled: int
    answered_before: AnsweredBefore = []


class Answered(Answer):
    """Number of images that have the answer now."""

    answered: int
    answered_before: AnsweredBefore = []


class Undone(Answer):
    """Answer that was revoked, and the pick as it is now."""

    item: int
    path: str
    kind: Kind
    class_name: str | None
    pick: Annotated[Pick | None, Field(description="None if no round has picked the image")]


class ClassGuess(Answer):
    """Class that the model holds possible for an image."""

    class_name: str
    probability: float


class LikeliestClasses(Answer):
    """Likeliest classes of an image, the likeliest first."""

    item: int
    classes: list[ClassGuess]


class ClassUse(Answer):
    """Class and the number of its labels, or of the masks that show it."""

    name: str
    labels: int


class ClassesChanged(Answer):
    """Classes after a change, and the number of labels that changed with them."""

    classes: list[str]
    labels: int


class PickList(Answer):
    """Some of a round's images."""

    picks: list[Pick]
    total: Annotated[int, Field(description="Number of images that match")]


class CampaignInfo(Answer):
    """Facts that do not change while the page is open."""

    id: Annotated[str, Field(description="Identifier that is unique among campaigns of the same name")]
    name: str
    task: Task
    classes: list[str]
    class_ids: Annotated[list[int], Field(description="Ids of the classes, in their order; renames do not change them")]
    colours: Annotated[list[str], Field(description="Colours of the classes in masks, #rrggbb; [] in classification")]
    strategy: Annotated[str, Field(description="Default strategy")]
    strategies: Annotated[list[str], Field(description="Names of all strategies")]
    usual: Annotated[dict[str, str], Field(description="Usual strategies, each with the images that it looks for")]
    lease_seconds: int
    live: Annotated[LiveOptions | None, Field(description="Options of live labelling; None in rounds")]
    role: Annotated[Literal["manager", "annotator"], Field(description="Role that the link of this request gives")]
    export_formats: list[str]


class KnownAnswer(Answer):
    """Current answer to an image, which a correction names."""

    id: Annotated[int, Field(description="Id in the label history")]
    author: str
    at: Annotated[int, Field(description="Time in milliseconds since 1970")]


class DrawingInfo(Answer):
    """Facts that a page needs to draw on an image."""

    item: int
    width: int
    height: int
    digest: Annotated[str, Field(description="sha256 of the image's file: a draft belongs to a content")]
    class_ids: Annotated[list[int], Field(description="Ids of the classes, in the order of their numbers in masks")]
    answer: Annotated[
        KnownAnswer | None, Field(description="Current answer; None without one, or if the link does not show it")
    ]
    label: Annotated[bool, Field(description="Whether the image has a mask that the link shows")]
    prediction: Annotated[bool, Field(description="Whether a model predicted its pixels when it chose the image")]
    entropy: Annotated[bool, Field(description="Whether the uncertainty of that prediction is stored")]
    draft_at: Annotated[
        int | None, Field(description="Time of the annotator's draft, in milliseconds since 1970; None without one")
    ]


class Drawn(Answer):
    """Time of the draft that is stored now."""

    at: int


class Round(Answer):
    """Progress of a round."""

    number: int
    strategy: str
    picks: int
    waiting: int
    opened_at: datetime
    closed_at: datetime | None
    is_open: bool


class Job(Answer):
    """Training or query that runs, or the last one that this server ran."""

    state: Literal["idle", "running", "done", "failed"] = "idle"
    kind: JobKind | Literal["map"] | None = None
    training: Annotated[str | None, Field(description="Model that is being trained")] = None
    epoch: Annotated[int | None, Field(description="Number of finished epochs")] = None
    epochs: int | None = None
    message: Annotated[str | None, Field(description="Result, in one sentence")] = None
    started_at: datetime | None = None


class LearnerReport(Answer):
    """State of the process of the live learner."""

    state: Annotated[
        Literal["starting", "standby", "features", "learning", "failed"],
        Field(description="standby: the learner of another server works on the campaign"),
    ]
    done: Annotated[int | None, Field(description="Number of images whose features are computed")] = None
    total: int | None = None
    unit: str | None = None
    message: Annotated[str | None, Field(description="Why it failed; it is started again")] = None
    pid: Annotated[int | None, Field(exclude=True)] = None


class Suggestion(Answer):
    """Class that the present model suggests for a waiting image."""

    item: int
    class_name: str
    confidence: float | None


class Live(Answer):
    """State of live labelling: short, and requested every few seconds."""

    learner: Annotated[LearnerReport | None, Field(description="None if this page works in rounds")]
    state: Annotated[LiveState | None, Field(description="State that the learner has published; None before that")]
    is_behind: Annotated[bool, Field(description="Whether there are answers that it has not learned from yet")]
    waiting: Annotated[int, Field(description="Number of images in the queue")]
    free: Annotated[int, Field(description="Number of those that nobody holds")]
    suggestions: list[Suggestion]


class Status(Answer):
    """Status of the campaign, its learning curve, and the job."""

    task: Task
    items: Annotated[Mapping[str, int], Field(description="Number of images by status")]
    labelled: int
    held_out: int
    unsure: int
    unlabelled: int
    classes: tuple[ClassCount, ...]
    round: Round | None
    model: ModelState | None
    advice: Advice
    conflicts: Annotated[int, Field(description="Number of images about which two annotators disagree")]
    set_aside: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    confirmed: Annotated[int, Field(description="Number of labels that are suggestions confirmed in bulk")] = 0
    curve: list[CurvePoint]
    job: Job


class Closed(Answer):
    """Number of the round that was closed."""

    closed: int
