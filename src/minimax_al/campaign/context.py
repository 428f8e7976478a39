"""Context of a campaign: the folder, database, settings and files that its rooms work on."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from minimax_al.campaign.images.views import VIEWS, ViewFiles
from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.campaign.store.database import Store
from minimax_al.data.locations.location import Location, known_location
from minimax_al.data.masks.mask_store import MaskFiles
from minimax_al.errors import CampaignError
from minimax_al.locks import file_lock


@dataclass(frozen=True)
class CampaignContext:
    """Everything that a function needs to know of its campaign, in one argument.

    Attributes:
        folder: Campaign folder.
        store: Database.
        settings: Settings as of now.
        now: Clock, with a time zone.
        where: Filter of the images that may be chosen; None for all.
    """

    folder: Path
    store: Store
    settings: CampaignSettings
    now: Callable[[], datetime]
    where: str | None = None

    def alone(self, name: str) -> AbstractContextManager[bool]:
        """Return a lock between processes; entered, it is False while another process holds it.

        It is a file in the campaign folder, or an advisory lock in PostgreSQL, which holds on other machines too.

        Args:
            name: Name of the lock.
        """
        if self.store.is_sqlite:
            return file_lock(self.folder / name, error=CampaignError)
        return self.store.advisory_lock(name)

    @property
    def images(self) -> Location:
        """Location of the images: a folder, a manifest, or a URL of object storage."""
        return known_location(self.settings.images)

    @property
    def masks(self) -> MaskFiles:
        """Masks of a segmentation campaign."""
        return MaskFiles(self.folder / "masks")

    @property
    def views(self) -> ViewFiles:
        """Predictions of models for the pixels of its images."""
        return ViewFiles(self.folder / VIEWS)


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
