"""Picks of each strategy, compared with its definition written out on all unlabelled images at once."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from minimax_al.errors import ConfigurationError
from minimax_al.strategies import get_strategy
from minimax_al.training import MinimaxSettings

BUDGET = 6
SHORT = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 6, "discriminator_hidden": 8}


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def entropy(probs):
    return -(probs * np.log(probs)).sum(axis=1)


def best(scores, round_, budget=BUDGET):
    return round_.unlabelled[np.argsort(-np.asarray(scores), kind="stable")[:budget].copy()].tolist()


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("entropy", entropy),
        ("margin", lambda p: -np.diff(np.sort(p, axis=1)[:, -2:], axis=1)[:, 0]),
        ("least_confidence", lambda p: 1 - p.max(axis=1)),
    ],
)
@pytest.mark.parametrize("under", ["", "+mal"])
def test_uncertainty(round_, look, name, score, under):
    strategy = get_strategy(name + under)
    models = strategy.fit(round_)
    network = (lambda x: models.classifier(models.encoder(x))) if under else models.task_model
    probs = softmax(look(network).numpy())
    query = strategy.query(round_, models, BUDGET)
    assert query.indices.tolist() == best(score(probs), round_)
    assert query.scores["predicted"].tolist() == probs.argmax(axis=1).tolist()
    np.testing.assert_allclose(query.scores["confidence"], probs.max(axis=1), rtol=1e-12)
    assert query.picked("confidence").tolist() == pytest.approx(
        [probs.max(axis=1)[round_.unlabelled.tolist().index(index)] for index in query.indices.tolist()]
    )


def test_mal_is_the_smallest_m_whose_two_lists_share_the_budget(round_, look, minimax_models):
    features = look(minimax_models.encoder)
    H = entropy(softmax(minimax_models.classifier(features).detach().numpy()))
    D = minimax_models.discriminator(features).detach().numpy()
    query = get_strategy("mal").query(round_, minimax_models, BUDGET)
    lowest_d, highest_h = np.argsort(D), np.argsort(-H)
    for m in itertools.count(BUDGET):
        shared = set(lowest_d[:m]) & set(highest_h[:m])
        if len(shared) >= BUDGET:
            break
    inner = set(lowest_d[: m - 1]) & set(highest_h[: m - 1])
    positions = {round_.unlabelled.tolist().index(index) for index in query.indices.tolist()}
    assert inner <= positions <= shared
    np.testing.assert_allclose(query.scores["entropy"], H, rtol=1e-9)
    np.testing.assert_allclose(query.scores["labelledness"], D, rtol=1e-9)
    assert query.scores["entropy_rank"].tolist() == np.argsort(highest_h).tolist()
    assert query.scores["labelledness_rank"].tolist() == np.argsort(lowest_d).tolist()


def test_the_ablations_use_one_condition(round_, look, minimax_models):
    features = look(minimax_models.encoder)
    H = entropy(softmax(minimax_models.classifier(features).detach().numpy()))
    D = minimax_models.discriminator(features).detach().numpy()
    for name, scores in (("mal-entropy-only", H), ("mal-diversity-only", -D), ("mal-product", H / (1 + np.exp(D)))):
        query = get_strategy(name).query(round_, minimax_models, BUDGET)
        assert query.indices.tolist() == best(scores, round_), name


def test_the_ablations_train_what_they_say(round_):
    models = {name: get_strategy(name).fit(round_) for name in ("mal", "mal-no-minimax", "mal-no-discriminator")}
    assert set(models["mal"].history["minimax"][0]) == {"classification", "entropy", "labelledness"}
    assert set(models["mal-no-minimax"].history["minimax"][0]) == {"classification", "labelledness"}
    assert set(models["mal-no-discriminator"].history["minimax"][0]) == {"classification", "entropy"}
    assert models["mal-no-discriminator"].discriminator is None
    half = get_strategy("mal", entropy_weight=0.5).fit(round_)
    assert half.history != models["mal"].history


def test_a_recipe_without_a_discriminator_is_kept_or_refused(round_):
    recipe = round_.recipe.model_copy(update={"minimax": MinimaxSettings(discriminator=False, **SHORT)})
    without = replace(round_, recipe=recipe)
    for name in ("mal", "mal-no-minimax", "mal-diversity-only"):
        with pytest.raises(ConfigurationError, match="asks the discriminator: set discriminator to true, or rule to"):
            get_strategy(name).fit(without)
    assert get_strategy("mal", rule="entropy").fit(without).discriminator is None
    assert get_strategy("entropy+mal").fit(without).discriminator is None
    # What the strategy itself says goes before the recipe.
    assert get_strategy("mal", discriminator=True).fit(without).discriminator is not None
    assert get_strategy("mal-entropy-only").fit(without).discriminator is not None
    assert get_strategy("mal-no-discriminator").fit(round_).discriminator is None


def test_coreset_is_the_farthest_point_again_and_again(round_, supervised_models):
    features = round_.stream(
        lambda x: {"features": supervised_models.task_model.encoder(x)}, torch.arange(len(round_.dataset.train))
    )["features"].numpy()
    centers, expected = round_.labelled.tolist(), []
    for _ in range(BUDGET):
        distances = np.linalg.norm(features[:, None] - features[centers], axis=2).min(axis=1)
        expected.append(int(distances.argmax()))
        centers.append(expected[-1])
    assert get_strategy("coreset").query(round_, supervised_models, BUDGET).indices.tolist() == expected


def test_bald_is_the_mutual_information_of_its_passes(round_, look):
    strategy = get_strategy("bald", passes=7)
    models = strategy.fit(round_)
    assert models.task_model.dropout.p == 0.5
    query = strategy.query(round_, models, BUDGET)

    kept = torch.rand(
        7, models.task_model.encoder.out_features, generator=round_.generator("dropout"), dtype=torch.float64
    )
    features = look(models.task_model.encoder)
    passes = [softmax(models.task_model.head(features * (mask >= 0.5) * 2).detach().numpy()) for mask in kept]
    information = entropy(np.mean(passes, axis=0)) - np.mean([entropy(probs) for probs in passes], axis=0)
    np.testing.assert_allclose(query.scores["mutual_information"], information, rtol=1e-9, atol=1e-12)
    assert query.indices.tolist() == best(information, round_)


def test_an_ensemble_of_different_members_votes(round_, look):
    strategy = get_strategy("ensemble", members=3)
    models = strategy.fit(round_)
    logits = [look(network).numpy() for network in (models.task_model, *models.others.values())]
    assert len(logits) == 3
    assert not np.allclose(logits[0], logits[1])
    assert not np.allclose(logits[1], logits[2])
    votes = np.stack([member.argmax(axis=1) for member in logits])
    ratio = [1 - np.bincount(column).max() / 3 for column in votes.T]
    query = strategy.query(round_, models, BUDGET)
    np.testing.assert_allclose(query.scores["variation_ratio"], ratio, atol=1e-12)
    probs = np.stack([np.exp(member - logsumexp(member, axis=1, keepdims=True)) for member in logits])
    mean = probs.mean(axis=0)
    mutual = -(mean * np.log(mean)).sum(axis=1) + (probs * np.log(probs)).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(query.scores["mutual_information"], mutual, atol=1e-12)
    assert query.indices.tolist() == best(np.round(ratio, 9) + 1e-6 * mutual, round_)


def test_vaal_picks_the_lowest_d(round_, look):
    strategy = get_strategy("vaal")
    models = strategy.fit(round_)
    vae, discriminator = models.others["vae"], models.others["latent_discriminator"]
    logits = look(lambda x: discriminator(vae.encode(x)[0])).numpy()
    query = strategy.query(round_, models, BUDGET)
    assert query.indices.tolist() == best(-logits, round_)


@pytest.mark.parametrize("under", ["", "+mal"])
def test_badge_chooses_by_the_gradients_of_the_last_layer(round_, monkeypatch, under):
    """Autograd's gradient at the predicted class, image by image; a common factor, such as C's 1/T, is nothing."""
    strategy, given = get_strategy("badge" + under), []
    models = strategy.fit(round_)

    def spy(logits, inputs, budget, generator):
        given.append((logits, inputs))
        return torch.arange(budget)

    monkeypatch.setattr("minimax_al.strategies.badge.badge", spy)
    strategy.query(round_, models, BUDGET)
    logits, inputs = given[0]
    embeddings = np.einsum("nk,nd->nkd", softmax(logits.numpy()) - np.eye(3)[logits.argmax(dim=1)], inputs)

    layer = models.classifier.prototypes if under else models.task_model.head
    (x,) = round_.feed.plain(round_.dataset.train, round_.unlabelled, 100)
    outputs = models.classifier(models.encoder(x)) if under else models.task_model(x)
    losses = torch.nn.functional.cross_entropy(outputs, outputs.argmax(dim=1), reduction="none")
    gradients = [torch.autograd.grad(loss, layer.weight, retain_graph=True)[0] for loss in losses]
    factor = models.classifier.temperature if under else 1
    np.testing.assert_allclose(embeddings, factor * torch.stack(gradients), rtol=1e-9, atol=1e-14)


def test_random_is_uniform(round_, supervised_models):
    counts = torch.zeros(len(round_.dataset.train))
    draws = 600
    for seed in range(draws):
        counts[get_strategy("random").query(replace(round_, seed=seed), supervised_models, BUDGET).indices] += 1
    share = counts[round_.unlabelled] / draws
    expected = BUDGET / len(round_.unlabelled)
    # Five standard deviations of a binomial share.
    assert (share - expected).abs().max() < 5 * (expected * (1 - expected) / draws) ** 0.5
    assert counts[round_.labelled].sum() == 0


@pytest.mark.parametrize("name", ["random", "badge", "batchbald"])
def test_another_seed_picks_others(round_, name):
    strategy = get_strategy(name)
    models = strategy.fit(round_)
    picked = {tuple(strategy.query(replace(round_, seed=seed), models, BUDGET).indices.tolist()) for seed in range(5)}
    assert len(picked) > 1
