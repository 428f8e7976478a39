"""What goes over the wire, in both directions.

Requests are taken strictly: a field that nobody knows, or a number in quotes, is refused and not guessed at.
Answers mirror the campaign's own objects; what these gain is not sent before it is written down here.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

ItemId = Annotated[int, Field(ge=1, le=2**31 - 1, description="id of an image")]
RoundNumber = Annotated[int, Field(ge=1, le=2**31 - 1, description="of a round, from 1")]
Author = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$"),
    Field(description="who answers, as they have said on the page"),
]
AnswerKind = Literal["waiting", "label", "unsure", "skip"]
JobKind = Literal["train", "query"]


class _Sent(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Somebody(_Sent):
    """A request about everything that somebody holds."""

    author: Author


class LeaseRequest(Somebody):
    """A request for images."""

    count: Annotated[int, Field(ge=1, le=200, description="most images")]


class Items(Somebody):
    """A request about some images."""

    items: Annotated[list[ItemId], Field(min_length=1, max_length=200)]

    @property
    def distinct(self) -> list[int]:
        """The images, each once, in their order."""
        return list(dict.fromkeys(self.items))


IfWaiting = Annotated[
    bool,
    Field(description="the client knows of no answer: images that somebody has answered meanwhile are left alone"),
]


class UnsureRequest(Items):
    """That nobody can tell."""

    if_waiting: IfWaiting = False


class LabelRequest(UnsureRequest):
    """A class for some images."""

    class_name: Annotated[str, Field(min_length=1, max_length=1000)]


class UndoRequest(Somebody):
    """Takes back the last answer, or the last one about one image."""

    item: ItemId | None = None
    kind: Annotated[
        Literal["label", "unsure", "skip"] | None,
        Field(description="take it back only if it is such an answer: the author may have given another elsewhere"),
    ] = None
    class_name: Annotated[str | None, Field(min_length=1, max_length=1000, description="likewise, of a label")] = None


class JobOrder(_Sent):
    """A job for the machine."""

    kind: Annotated[
        JobKind, Field(description="train on the labels, or choose the next round (and train where needed)")
    ]
    budget: Annotated[int, Field(ge=1, le=2**31 - 1, description="of a query: how many images")] = 100
    strategy: Annotated[str | None, Field(max_length=200, description="by default the campaign's")] = None
    random_share: Annotated[float, Field(ge=0, le=1, description="of a query: part drawn at random besides")] = 0.0


class RoundMeant(_Sent):
    """The round that is meant: what a page shows may be older than the round that is open."""

    round: RoundNumber


class _Answer(BaseModel):
    """What the server answers."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Refusal(_Answer):
    """Why a request was refused."""

    error: Annotated[str, Field(description="one sentence")]


class Pick(_Answer):
    """An image of a round."""

    item: int
    path: Annotated[str, Field(description="relative to the images' folder")]
    round: int
    rank: Annotated[int, Field(description="place in the round, from 0")]
    reason: Annotated[str, Field(description="why it was picked")]
    scores: Annotated[dict[str, float | None], Field(description="numbers behind the reason")]
    at_random: bool
    suggestion: Annotated[str | None, Field(description="the class that the model would say")]
    confidence: Annotated[float | None, Field(description="of the suggestion, in [0, 1]")]
    answer: AnswerKind
    class_name: Annotated[str | None, Field(description="of the label that holds")]
    lease_holder: str | None
    lease_until: datetime | None


class Lease(_Answer):
    """Images kept for one person."""

    picks: list[Pick]
    until: Annotated[datetime, Field(description="when they return to the queue")]
    waiting: Annotated[int, Field(description="unanswered images of the round")]
    with_others: Annotated[int, Field(description="how many of these other people hold")]
    next_free_at: Annotated[datetime | None, Field(description="when the first of those returns")]
    lent: Annotated[int, Field(description="how many lie in Label Studio, and are leased to nobody until recalled")]


class Released(_Answer):
    """How many images were given back."""

    released: int


AnsweredBefore = Annotated[list[int], Field(description="images that were left alone, see `if_waiting`")]


class Labelled(_Answer):
    """How many images have the label now."""

    labelled: int
    answered_before: AnsweredBefore = []


class Answered(_Answer):
    """How many images have the answer now."""

    answered: int
    answered_before: AnsweredBefore = []


class Undone(_Answer):
    """What was taken back, and the pick as it is now."""

    item: int
    path: str
    kind: Literal["label", "unsure", "skip"]
    class_name: str | None
    pick: Annotated[Pick | None, Field(description="none where no round has asked about the image")]


class PickList(_Answer):
    """Some of a round's images."""

    picks: list[Pick]
    total: Annotated[int, Field(description="how many match")]


class CampaignInfo(_Answer):
    """What does not change while the page is open."""

    id: Annotated[str, Field(description="tells it from campaigns of the same name")]
    name: str
    task: Literal["classification", "segmentation"]
    classes: list[str]
    colours: Annotated[list[str], Field(description="of the classes in masks, as #rrggbb; empty in classification")]
    strategy: Annotated[str, Field(description="what chooses when nothing else is asked for")]
    strategies: Annotated[list[str], Field(description="all that can choose")]
    usual: Annotated[dict[str, str], Field(description="of those, the usual ones, each with what it looks for")]
    lease_seconds: int
    export_formats: list[str]


class ClassCount(_Answer):
    """How many labels a class has."""

    name: str
    labels: int
    held_out: int


class Round(_Answer):
    """How far a round is."""

    number: int
    strategy: str
    picks: int
    waiting: int
    opened_at: datetime
    closed_at: datetime | None
    is_open: bool


class Model(_Answer):
    """The last trained model."""

    run: int
    strategy: str
    labels: int
    labels_since: int
    held_out: int
    metric: Annotated[Literal["accuracy", "miou"], Field(description="what it is judged by")]
    score: Annotated[float | None, Field(description="that metric, a fraction")]
    interval: Annotated[tuple[float, float] | None, Field(description="its 95 % interval, where that is known")]
    metrics: dict[str, float | None]
    agreement: float | None
    trained_at: datetime


class Advice(_Answer):
    """What to do next."""

    decision: Literal["go on", "stop", "too early"]
    reason: str
    next_labels: int
    gain: float | None
    low: float | None
    high: float | None
    ceiling: float | None


class CurvePoint(_Answer):
    """A point of the learning curve, with the 95 % interval of its score where that is known."""

    labels: int
    score: float
    low: float | None
    high: float | None


class Job(_Answer):
    """The machine's job, or the last one that this server ran."""

    state: Literal["idle", "running", "done", "failed"] = "idle"
    kind: JobKind | None = None
    training: Annotated[str | None, Field(description="what is being trained")] = None
    epoch: Annotated[int | None, Field(description="finished units: epochs, or images")] = None
    epochs: Annotated[int | None, Field(description="units in all")] = None
    unit: Annotated[str | None, Field(description="unit of the progress, in the plural")] = None
    message: Annotated[str | None, Field(description="how it ended")] = None
    started_at: datetime | None = None


class Status(_Answer):
    """Where the campaign stands."""

    task: Literal["classification", "segmentation"]
    items: Annotated[dict[str, int], Field(description="images by status")]
    labelled: int
    held_out: int
    unsure: int
    unlabelled: int
    classes: list[ClassCount]
    round: Round | None
    model: Model | None
    advice: Advice
    set_aside: list[tuple[str, str]]
    notes: list[str]
    curve: list[CurvePoint]
    job: Job


class Closed(_Answer):
    """Which round was closed."""

    closed: int


class Import(_Answer):
    """What an import did."""

    source: str
    format: str
    added: int
    changed: int
    unchanged: int
    unsure: int
    new_classes: list[str]
