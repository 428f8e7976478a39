"""Route for the likeliest classes of images, which the page puts on its first keys."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.progress.pool_predictions import PoolPredictions
from minimax_al.web.models import ClassGuess, ItemId, LikeliestClasses
from minimax_al.web.refusals import declared
from minimax_al.web.state import TheCampaign, TheExplorer

router = APIRouter(prefix="/api", tags=["labelling"], responses=declared(422))


@router.get("/likeliest")
def likeliest(
    campaign: TheCampaign, explorer: TheExplorer, item: Annotated[list[ItemId], Query(min_length=1, max_length=200)]
) -> list[LikeliestClasses]:
    """Return the likeliest classes of images by the last trained model; images that it has not seen are left out."""
    found = explorer.predictions()
    with campaign.store.reading() as connection:
        names = {number: name for name, number in class_ids(connection).items()}
    return [] if found is None else [one for number in dict.fromkeys(item) if (one := _of(found, number, names))]


def _of(found: PoolPredictions, item: int, names: dict[int, str]) -> LikeliestClasses | None:
    row = int(np.searchsorted(found.items, item))
    if row == len(found.items) or found.items[row] != item:
        return None
    pairs = zip(found.classes[row].tolist(), found.probabilities[row].tolist(), strict=True)
    guesses = [ClassGuess(class_name=names[number], probability=share) for number, share in pairs if number in names]
    return LikeliestClasses(item=item, classes=guesses)
