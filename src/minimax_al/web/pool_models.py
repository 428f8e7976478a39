"""Requests and answers about many images at once: search, neighbours, candidates, all labels, maps."""

from typing import Annotated

from pydantic import Field

from minimax_al.exploring.bulk import CandidateCount
from minimax_al.exploring.explorer import Subset
from minimax_al.exploring.label_list import LabelCounts
from minimax_al.exploring.pool_view import FoundImage
from minimax_al.exploring.projection import MapMethod
from minimax_al.web.models import Answer, ItemId, Job, Request

MOST = 200
"""Largest number of images per answer."""

ExampleIds = Annotated[list[ItemId], Field(min_length=1, max_length=50, description="Images to find similar ones to")]
ImageIds = Annotated[list[ItemId], Field(min_length=1, max_length=MOST)]
SearchText = Annotated[str, Field(max_length=200, description="Words that path or label contain")]


class ImagesRequest(Request):
    """Request about some images."""

    items: ImageIds


class NeighboursRequest(Request):
    """Request for the images that are most similar to examples."""

    items: ExampleIds
    wanted: Subset = "all"
    offset: Annotated[int, Field(ge=0, le=100_000)] = 0
    limit: Annotated[int, Field(ge=1, le=MOST)] = 60


class FoundImages(Answer):
    """Page of images."""

    images: list[FoundImage]
    total: Annotated[int, Field(description="Number of images that match")]


class Candidates(FoundImages):
    """Page of the images that today's model takes for one class."""

    run: Annotated[int | None, Field(description="Run of the model; None without one")]
    predicted: Annotated[int, Field(description="Number of unlabelled images that the model has predicted")]
    unlabelled: Annotated[int, Field(description="Number of unlabelled images")]
    classes: list[CandidateCount]


class LabelPage(FoundImages):
    """Page of all labels, with the numbers of answers over all images."""

    counts: LabelCounts
    run: Annotated[int | None, Field(description="Run of today's model; None without one")]


class Ordered(Answer):
    """Images in another order."""

    items: list[int]


class MapState(Answer):
    """State of one map."""

    method: MapMethod
    version: Annotated[str | None, Field(description="Text that changes with the map; None if it is not computed")]
    images: Annotated[int, Field(description="Number of images on the map")]


class Maps(Answer):
    """Maps of the pool."""

    features: Annotated[bool, Field(description="Whether the images have features to compute a map from")]
    tsne: Annotated[bool, Field(description="Whether openTSNE is installed (extra `map`)")]
    images: Annotated[int, Field(description="Number of images that a map would show now")]
    maps: list[MapState]
    job: Job
