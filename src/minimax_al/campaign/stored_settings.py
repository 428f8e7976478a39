"""Settings of a campaign, stored in a row of its database."""

from sqlalchemy import Connection, select

from minimax_al.campaign.settings import CampaignSettings, make_settings
from minimax_al.campaign.store.schema import settings as settings_table

SETTINGS = "settings"
"""Key of the row that holds the settings."""


def read_settings(connection: Connection) -> CampaignSettings:
    """Return the settings in the database."""
    value = connection.execute(select(settings_table.c.value).where(settings_table.c.key == SETTINGS)).scalar_one()
    return make_settings(**value)


def write_settings(connection: Connection, settings: CampaignSettings) -> None:
    """Replace the settings in the database."""
    row = settings_table.update().where(settings_table.c.key == SETTINGS)
    connection.execute(row.values(value=settings.model_dump(mode="json")))
