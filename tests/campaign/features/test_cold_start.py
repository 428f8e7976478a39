"""Choosing without labels: the images are described, and the picks are those of the rule on that description."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.acquisition import k_center_greedy, typicality
from minimax_al.campaign import strategy_names
from minimax_al.campaign.features.hog import edges, whitened
from minimax_al.data.decoding.decode import read_square
from minimax_al.errors import CampaignError, ConfigurationError, UnknownNameError
from minimax_al.networks import build_encoder

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures
from ...support.fakes import random_image  # noqa: TID252 - the same images


def histograms(image):
    """Each cell's votes by direction, pixel by pixel in float64."""
    grey = np.pad(image.astype(np.float64).mean(axis=2) / 255, 1)
    votes = np.zeros((8, 8, 8))
    for y in range(64):
        for x in range(64):
            gx = grey[y + 1, x + 2] - grey[y + 1, x]
            gy = grey[y + 2, x + 1] - grey[y, x + 1]
            place = (math.atan2(gy, gx) % math.pi) / math.pi * 8
            for direction, share in ((int(place), 1 - place % 1), (int(place) + 1, place % 1)):
                votes[direction % 8, y // 8, x // 8] += math.hypot(gx, gy) * share / 64
    energy = np.pad((votes**2).sum(axis=0), 1, mode="edge")
    around = np.array([[energy[y : y + 3, x : x + 3].mean() for x in range(8)] for y in range(8)])
    return (votes / (np.sqrt(around) + 0.02)).ravel()


def test_edges_are_the_histograms_of_their_definition():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = edges(torch.from_numpy(image).permute(2, 0, 1)[None])
    np.testing.assert_allclose(found[0].numpy(), histograms(image), atol=1e-4)


def test_whitened_rows_have_length_one_and_strong_directions_count_for_less():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(9000, 80, generator=generator) @ torch.diag(torch.linspace(1, 9, 80))
    found = whitened(features)
    assert found.shape == (9000, 64)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(9000))
    variances = torch.linalg.eigvalsh(torch.cov(found.T))
    assert variances.max() < 1.5 * variances.min()  # of the 64 directions the strongest had 17 times the weakest
    assert whitened(features[:3]).shape == (3, 2)  # three points span a plane
    assert whitened(torch.ones(5, 7)).tolist() == [[0.0]] * 5


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def described(campaign, paths):
    pixels = np.stack([read_square(campaign.images / path, 64) for path in paths])
    return whitened(edges(torch.from_numpy(pixels).permute(0, 3, 1, 2)))


def test_settings_of_a_choice_by_edges_are_refused_and_not_replaced_by_a_random_round(campaign):
    with pytest.raises(ConfigurationError, match=r"'typicality\(neighbours=5\)' chooses on .*, without settings"):
        campaign.query(3, "typicality(neighbours=5)")
    with pytest.raises(CampaignError, match="no round"):
        campaign.round()


@pytest.mark.parametrize("strategy", ["coverage", "typicality"])
def test_the_first_round_may_look_at_the_images(make_campaign, storage, strategy):
    campaign = make_campaign(count=30, storage=storage, seed=3)
    paths = sorted(path.relative_to(campaign.images).as_posix() for path in campaign.images.rglob("*.png"))
    features = described(campaign, paths)
    expected = {
        "coverage": lambda: k_center_greedy(features, 6, first=int(torch.randint(30, (), generator=seeded(3)))),
        "typicality": lambda: typicality(features, 6, seeded(3)),
    }[strategy]()
    seen = []
    state = campaign.query(6, strategy, progress=lambda *told: seen.append(told))
    assert (state.strategy, state.picks) == (strategy, 6)
    picks = campaign.picks()
    assert [pick.path for pick in picks] == [paths[index] for index in expected.tolist()]
    assert not any(pick.at_random or pick.suggestion for pick in picks)
    assert "labelled" in picks[0].reason or "label" in picks[0].reason
    assert seen == [("features", 30, 30, "images")]


def test_later_rounds_avoid_labelled_images(make_campaign, save_images):
    images = save_images(0)
    for kind in range(3):  # three kinds of images, six of each
        (images / f"{kind}").mkdir(parents=True)
        for number in range(6):
            noise = np.random.default_rng(10 * kind + number).integers(0, 6, (64, 64, 3), dtype=np.uint8)
            image = np.asarray(random_image(kind, (64, 64))) // 2 + noise
            Image.fromarray(image).save(images / f"{kind}/{number}.png")
    campaign = make_campaign(images=images, near_duplicates="off")
    campaign.label(["0/0.png", "0/1.png"], "cat", author="ann")
    for strategy in ("coverage", "typicality"):
        campaign.query(2, strategy)
        assert {pick.path[0] for pick in campaign.picks()} == {"1", "2"}
        campaign.close_round()
    campaign.query(4, "coverage", random_share=0.5)
    assert [pick.at_random for pick in campaign.picks()].count(True) == 2


@pytest.mark.parametrize(("task", "encoder"), [("classification", "conv4"), ("segmentation", "dconv4")])
def test_given_weights_describe_where_the_recipe_takes_them(make_campaign, tmp_path, task, encoder):
    torch.manual_seed(0)
    network = build_encoder(encoder, task=task, width=4)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    recipe = TINY_RECIPE | {"encoder": encoder, "pretrained": str(tmp_path / "weights.pth")}
    campaign = make_campaign(task=task, recipe=recipe, stored_size=16)
    campaign.query(5, "coverage")
    paths = sorted(path.relative_to(campaign.images).as_posix() for path in campaign.images.rglob("*.png"))
    fit = "centre" if task == "classification" else "stretch"
    pixels = np.stack([read_square(campaign.images / path, 16, fit=fit) for path in paths]).astype(np.float64) / 255
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    mean, std = x.mean(dim=(0, 2, 3), keepdim=True), x.std(dim=(0, 2, 3), keepdim=True, correction=0)
    with torch.inference_mode():
        features = network.double().eval()((x - mean) / std)
    features = features.mean(dim=(2, 3)) if features.ndim == 4 else features
    first = int(torch.randint(12, (), generator=seeded(0)))
    expected = k_center_greedy(torch.nn.functional.normalize(features), 5, first=first)
    assert [pick.path for pick in campaign.picks()] == [paths[index] for index in expected.tolist()]


def test_names_that_choose_are_known_without_loading_them():
    assert {"coverage", "typicality", "mal", "random"} <= set(strategy_names())


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda c: c.query(2, "typicalty"),
            UnknownNameError,
            "unknown strategy 'typicalty'; did you mean 'typicality'",
        ),
        (lambda c: c.query(2, "mla"), UnknownNameError, "unknown strategy 'mla'; did you mean 'mal'"),
        (lambda c: c.configure(strategy="entrpy"), UnknownNameError, "'entrpy'; did you mean 'entropy'"),
        (
            lambda c: c.configure(strategy="coverage"),
            ConfigurationError,
            "'coverage' chooses images and does not train",
        ),
        (
            lambda c: c.train("typicality"),
            ConfigurationError,
            "chooses images and does not train: use it in a query",
        ),
        (lambda c: c.train("mla"), UnknownNameError, "did you mean 'mal'"),
    ],
)
def test_an_invalid_strategy_is_refused_before_labelling(campaign, call, error, match):
    with pytest.raises(error, match=match):
        call(campaign)
    assert campaign.settings.strategy == "badge+mal"
    assert campaign.picks() == []


def test_a_missing_package_of_the_campaigns_strategy_is_reported(campaign):
    campaign.settings = campaign.settings.model_copy(update={"strategy": "plug-in"})
    with pytest.raises(UnknownNameError, match="unknown strategy 'plug-in'"):
        campaign.query(2)
    assert campaign.query(2, "random").picks == 2
