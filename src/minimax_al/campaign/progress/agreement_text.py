"""Agreement of the annotators in sentences, for the command line and the report."""

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.progress.team import read_agreement
from minimax_al.campaign.two_opinions import count_conflicts
from minimax_al.report.agreement import Agreement
from minimax_al.report.mask_agreement import MaskAgreement


def agreement_sentences(context: CampaignContext) -> list[str]:
    """Return how far two annotators agree on the images that both labelled; empty without such images.

    Args:
        context: Campaign.
    """
    with context.store.reading() as connection:
        conflicts = count_conflicts(connection)
    agreement = read_agreement(context)
    sentences = []
    if agreement.images:
        images = "1 image" if agreement.images == 1 else f"{agreement.images:,} images"
        sentences.append(f"Two annotators labelled {images} independently: {_same(agreement)}{_alpha(agreement)}.")
    if conflicts:
        waits = "1 conflict waits" if conflicts == 1 else f"{conflicts:,} conflicts wait"
        sentences.append(f"{waits} for a decision in the view Conflicts of the labelling page.")
    return sentences


def _same(agreement: Agreement | MaskAgreement) -> str:
    if isinstance(agreement, Agreement):
        return f"the labels of {agreement.same:,} are the same"
    if agreement.same is None:
        return "no pixel has a class in both masks"
    return f"{100 * agreement.same:.1f} % of the pixels have the same class"


def _alpha(agreement: Agreement | MaskAgreement) -> str:
    alpha = agreement.alpha
    if alpha is None:
        return ""
    return f", Krippendorff's alpha is {alpha.value:.2f} (95 % interval {alpha.low:.2f} to {alpha.high:.2f})"
