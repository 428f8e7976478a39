"""Package of a campaign's model."""

from pathlib import Path

from sqlalchemy import select

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.package.model_card import card_text
from minimax_al.campaign.progress.evaluation_result import EvaluationResult
from minimax_al.campaign.progress.status import ModelState
from minimax_al.campaign.store.schema import items
from minimax_al.data.locations.location import is_there
from minimax_al.deployment.packaging import CHECKED_IMAGES, write_package
from minimax_al.deployment.trained import Trained


def package_model(
    context: CampaignContext,
    trained: Trained,
    state: ModelState,
    out: Path,
    *,
    onnx: bool,
    test: EvaluationResult | None = None,
) -> None:
    """Write a folder with everything that the use of the model needs, without this program.

    Args:
        context: Campaign, on whose images the ONNX file is checked.
        trained: Trained model.
        state: Scores of the model and labels since, for the card.
        out: Folder to write; must be new or empty.
        onnx: Whether to write an ONNX file.
        test: Result on a test set, for the card; None without one.

    Raises:
        CampaignError: The folder exists and is not empty, or the ONNX file disagrees with the model.
        MissingDependencyError: ONNX without the extra `export`.
    """
    paths = _some_paths(context) if onnx else []
    write_package(trained, out, card_text(state, test), images=context.images, paths=paths, onnx=onnx)


def _some_paths(context: CampaignContext) -> list[str]:
    """Return the paths of some images whose files are there, always the same ones."""
    some = select(items.c.path).where(items.c.status == "active").order_by(items.c.content_hash).limit(CHECKED_IMAGES)
    with context.store.reading() as connection:
        return [path for path in connection.scalars(some) if is_there(context.images / path)]
