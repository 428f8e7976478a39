"""State of live labelling, which the learner publishes and the page shows."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.campaign.store.schema import settings as settings_table
from minimax_al.errors import ConfigurationError

MOST_OF_A_BATCH = 1000
"""Largest number of images of a batch."""

LIVE = "live"
"""Key of the row that holds the state."""

_VALUE = select(settings_table.c.value).where(settings_table.c.key == LIVE)


@dataclass(frozen=True)
class LiveOptions:
    """Options of live labelling.

    Attributes:
        batch: Number of images of a batch.
        random_share: Share of the images that is drawn at random, in [0, 1].

    Raises:
        ConfigurationError: A value is out of its range.
    """

    batch: int = 10
    random_share: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= MOST_OF_A_BATCH:
            raise ConfigurationError(
                f"batch={self.batch!r} must be from 1 to {MOST_OF_A_BATCH:,} images: larger batches are rounds "
                "('mal label CAMPAIGN --rounds')"
            )
        if not 0 <= self.random_share <= 1:
            raise ConfigurationError(f"random_share={self.random_share!r} must be a fraction from 0 to 1")


def live_options(
    settings: CampaignSettings, batch: int | None = None, random_share: float | None = None, *, rounds: bool = False
) -> LiveOptions | None:
    """Return the options of live labelling; None if the campaign is labelled in rounds.

    Args:
        settings: Settings of the campaign.
        batch: Number of images of a batch; None for the default.
        random_share: Share of the images that is drawn at random; None for that of the settings.
        rounds: Whether a campaign on features is labelled in rounds, too.

    Raises:
        ConfigurationError: An option of live labelling is given for rounds, or is out of its range.
    """
    share = settings.random_share if random_share is None else random_share
    options = LiveOptions(random_share=share) if batch is None else LiveOptions(batch, share)
    if not rounds and settings.features is not None:
        return options
    given = (("batch", batch, "--budget"), ("random_share", random_share, "--random-share"))
    for option, value, instead in given:
        if value is not None:
            why = "--rounds is given" if rounds else "the campaign does not learn on features"
            raise ConfigurationError(
                f"{option}={value!r} is an option of live labelling, but {why}: leave it out, and use {instead} of "
                "'mal query', which opens a round"
            )
    return None


@dataclass(frozen=True)
class LastAnswers:
    """Effect of the latest answers on the accuracy, measured on the same labels.

    Attributes:
        answers: Number of answers.
        before: Accuracy of a model without them.
        after: Accuracy of a model with them.
    """

    answers: int
    before: float
    after: float


@dataclass(frozen=True)
class LiveState:
    """State of live labelling.

    Attributes:
        version: Number of publications; increases with each.
        batch: Number of images of a batch.
        random_share: Share of a batch that is drawn at random.
        strategy: Strategy that chose the last batch; None before the first.
        labels: Number of labels that the suggestions reflect; 0 before the first model.
        last_label: Id of the latest row of the label history that they reflect.
        measured: Number of labels of the last measured model; 0 before the first.
        last_answers: Effect of the latest answers; None before it is measured.
        reason: Reason why no images are chosen, as a sentence; None if some are.
    """

    version: int = 0
    batch: int = 10
    random_share: float = 0.1
    strategy: str | None = None
    labels: int = 0
    last_label: int = 0
    measured: int = 0
    last_answers: LastAnswers | None = None
    reason: str | None = None


def read_live_state(connection: Connection) -> LiveState | None:
    """Return the state of the campaign's live labelling; None before the first one."""
    value: dict[str, Any] | None = connection.execute(_VALUE).scalar()
    if value is None:
        return None
    last = value.pop("last_answers", None)
    known = {name: value[name] for name in LiveState.__dataclass_fields__ if name in value}
    return LiveState(**known, last_answers=None if last is None else LastAnswers(**last))


def write_live_state(connection: Connection, **changes: Any) -> LiveState:  # noqa: ANN401 - fields of `LiveState`
    """Change fields of the state, and return it with its new version.

    Args:
        connection: Connection in a write transaction.
        **changes: Fields of `LiveState`.
    """
    before = read_live_state(connection)
    state = replace(before or LiveState(), **changes, version=1 if before is None else before.version + 1)
    if before is None:
        connection.execute(settings_table.insert().values(key=LIVE, value=asdict(state)))
    else:
        connection.execute(settings_table.update().where(settings_table.c.key == LIVE).values(value=asdict(state)))
    return state
