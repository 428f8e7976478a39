"""People as the oracle: a labelling campaign with durable state, rounds, leases, import, export and advice.

Only a training, a prediction and a package load torch. Needs the extra `campaign`.
"""

from minimax_al.extras import extra_packages

with extra_packages("campaign", "a labelling campaign", ("sqlalchemy",)):
    from minimax_al.campaign.answers.answers import Undone
    from minimax_al.campaign.answers.leases import Lease
    from minimax_al.campaign.campaign import Campaign
    from minimax_al.campaign.exchange.exporting import Export
    from minimax_al.campaign.exchange.importing import Import
    from minimax_al.campaign.exchange.picks import ExportedPicks
    from minimax_al.campaign.images.inventory import Duplicate, FileState
    from minimax_al.campaign.images.refresh_result import Refresh
    from minimax_al.campaign.images.views import ViewKind
    from minimax_al.campaign.progress.advice import Advice
    from minimax_al.campaign.progress.evaluation_result import ClassResult, EvaluationResult
    from minimax_al.campaign.progress.status import ClassCount, CurvePoint, ModelState, Status
    from minimax_al.campaign.rounds.rounds import Pick, RoundState
    from minimax_al.campaign.settings.settings import CampaignSettings
    from minimax_al.label_formats import FORMATS
    from minimax_al.strategies.usual import strategy_names

__all__ = [
    "FORMATS",
    "Advice",
    "Campaign",
    "CampaignSettings",
    "ClassCount",
    "ClassResult",
    "CurvePoint",
    "Duplicate",
    "EvaluationResult",
    "Export",
    "ExportedPicks",
    "FileState",
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
