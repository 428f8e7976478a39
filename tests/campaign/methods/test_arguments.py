"""Values as NumPy and pandas hand them over are accepted; all others are one sentence of the family."""

from pathlib import PurePosixPath

import numpy as np
import pytest
import torch

from minimax_al.errors import BudgetError, CampaignError, DataError, UnknownNameError


@pytest.mark.parametrize(
    "kind",
    [int, np.int64, np.int32, np.uint8, np.array, torch.tensor, lambda item: [np.int64(item)], lambda item: (item,)],
    ids=["int", "int64", "int32", "uint8", "0-d array", "tensor", "list", "tuple"],
)
def test_an_id_of_any_integer_type_is_an_image(campaign, kind):
    campaign.query(np.int64(4), random_share=np.float32(0.5))
    pick = campaign.picks()[0]
    campaign.label(kind(pick.item), np.str_("cat"), author="ann", request="once")
    campaign.label(kind(pick.item), "cat", author="ann", request="once")  # the same request again
    assert campaign.labels() == {pick.path: "cat"}


@pytest.mark.parametrize("kind", [str, np.str_, PurePosixPath, lambda path: np.array([path])])
def test_a_path_of_any_text_type_is_an_image(campaign, kind):
    campaign.label(kind("a/000.png"), "dog", author="ann")
    assert campaign.labels() == {"a/000.png": "dog"}
    assert campaign.image(PurePosixPath("a/000.png")).name == "000.png"


def test_an_array_of_ids_is_many_images(campaign):
    campaign.query(5)
    campaign.label(np.array([pick.item for pick in campaign.picks()]), "cat", author="ann")
    assert len(campaign.labels()) == 5


@pytest.mark.parametrize("item", [1.5, None, True, 2**70, -(2**64), b"a/000.png", [[1]]])
def test_an_invalid_image_argument_is_one_sentence(campaign, item):
    with pytest.raises(DataError, match="is not an image of this campaign: give its id"):
        campaign.label(item, "cat", author="ann")
    assert campaign.labels() == {}


@pytest.mark.parametrize("budget", [1.5, "3", True, None, np.nan, [2]])
def test_a_budget_is_a_whole_number(campaign, budget):
    with pytest.raises(BudgetError, match="it must be a whole number of images"):
        campaign.query(budget, "random")


def test_other_arguments_are_one_sentence_too(campaign):
    with pytest.raises(UnknownNameError, match="unknown class '1'"):
        campaign.label("a/000.png", 1, author="ann")
    with pytest.raises(CampaignError, match="author None is blank"):
        campaign.label("a/000.png", "cat", author=None)
    with pytest.raises(BudgetError, match="a random share of 'half' was given"):
        campaign.query(3, "random", "half")
