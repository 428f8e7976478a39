"""People as the oracle: a labelling campaign with durable state, rounds, leases, import, export and advice.

Nothing here loads torch until something is trained or asked of a model.
"""

from minimax_al.campaign.advice import Advice
from minimax_al.campaign.answers import Undone
from minimax_al.campaign.campaign import Campaign
from minimax_al.campaign.formats import FORMATS
from minimax_al.campaign.importing import Import
from minimax_al.campaign.items import Duplicate, Refresh
from minimax_al.campaign.leases import Lease
from minimax_al.campaign.rounds import Pick, RoundState
from minimax_al.campaign.settings import CampaignSettings
from minimax_al.campaign.status import ClassCount, CurvePoint, ModelState, Status
from minimax_al.campaign.strategies import strategy_names
from minimax_al.campaign.views import ViewKind

__all__ = [
    "FORMATS",
    "Advice",
    "Campaign",
    "CampaignSettings",
    "ClassCount",
    "CurvePoint",
    "Duplicate",
    "Import",
    "Lease",
    "ModelState",
    "Pick",
    "Refresh",
    "RoundState",
    "Status",
    "Undone",
    "ViewKind",
    "strategy_names",
]
