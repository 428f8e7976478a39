"""Checks of the contract. A check that fails raises an AssertionError with the finding and the remedy."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType

import torch

from minimax_al.errors import NonFiniteScoreError, UnknownNameError
from minimax_al.strategies import Strategy, get_strategy
from minimax_al.strategies.pool_features import cold_models
from minimax_al.testing.probes import (
    BUDGET,
    are_ties,
    check_budgets,
    check_distinct,
    check_inside,
    check_query,
    check_unlabelled,
    global_seeds,
    global_states,
    image_names,
    modes,
    poisoned,
    require,
    round_state,
    snapshot,
)
from minimax_al.testing.stage import SampleKind, Stage, make_round, rearranged, samples_of, with_samples
from minimax_al.vocabulary import Task


def check_strategy(
    strategy: str | Strategy,
    *,
    task: Task = "classification",
    samples: SampleKind = "images",
    checks: Iterable[str] | None = None,
    seed: int = 0,
) -> None:
    """Raise an error unless a strategy keeps the contract.

    Args:
        strategy: Strategy, or its name.
        task: Task of the round, `classification` or `segmentation`.
        samples: Samples of the round, `images` or `features`.
        checks: Names among `CHECKS`; default all.
        seed: Seed of the round.

    Raises:
        AssertionError: A check failed; the sentence gives the check, the finding and the remedy.
        UnknownNameError: The strategy or the check does not exist.
        ConfigurationError: The strategy does not support that task or those samples.

    Example:
        >>> check_strategy("entropy", checks=["exact_count", "seed_stable"])
    """
    names = list(CHECKS) if checks is None else list(checks)
    for name in names:
        if name not in CHECKS:
            raise UnknownNameError("check", name, CHECKS)
    strategy = get_strategy(strategy) if isinstance(strategy, str) else strategy
    strategy.check_dataset(make_round(task, samples=samples, seed=seed).dataset)
    models = strategy.fit(make_round(task, samples=samples, seed=seed))
    for name in names:
        try:
            # Each check gets its own copy of the models, so that the effects of one query do not reach the next check.
            CHECKS[name](Stage(strategy, make_round(task, samples=samples, seed=seed), deepcopy(models)))
        except Exception as error:  # Any error of a strategy is a finding.
            found = str(error) if isinstance(error, AssertionError) else f"raised {type(error).__name__}: {error}"
            raise AssertionError(f"{type(strategy).__name__} breaks the contract ({name}): {found}") from error


def exact_count(stage: Stage) -> None:
    """Check that a query returns exactly `budget` indices, shape (budget,), int64, on the CPU."""
    for budget in (1, BUDGET):
        indices = stage.query(budget).indices
        require(
            indices.shape == (budget,) and indices.dtype == torch.int64 and indices.device.type == "cpu",
            f"a budget of {budget} gave indices {tuple(indices.shape)} {indices.dtype} on {indices.device}; return "
            f"({budget},) int64 on the CPU",
        )


def distinct(stage: Stage) -> None:
    """Check that a query returns no index twice."""
    check_distinct(stage.query(BUDGET))


def inside_pool(stage: Stage) -> None:
    """Check that every index belongs to a training image."""
    check_inside(stage.query(BUDGET), stage.round_)


def never_labelled(stage: Stage) -> None:
    """Check that no index belongs to a labelled image."""
    check_unlabelled(stage.query(BUDGET), stage.round_)
    check_unlabelled(stage.query(len(stage.round_.unlabelled)), stage.round_)


def seed_stable(stage: Stage) -> None:
    """Check that a round's picks and their order do not depend on the global seeds of torch, NumPy and random."""
    with global_seeds(0):
        first = stage.query(BUDGET).indices
    with global_seeds(1):
        second = stage.query(BUDGET).indices
    require(
        torch.equal(first, second),
        f"two queries of one round picked {first.tolist()} and {second.tolist()}; draw from "
        "round_.generator('query'), never from a global generator",
    )


def spares_global_randomness(stage: Stage) -> None:
    """Check that a query does not change the global generators of torch, NumPy and random."""
    before = global_states()
    stage.query(BUDGET)
    changed = [name for name, state in global_states().items() if state != before[name]]
    require(
        not changed,
        f"the query drew from, or seeded, the global generator of {', '.join(changed)}; draw from "
        "round_.generator('query')",
    )


def fit_repeats(stage: Stage) -> None:
    """Check that two fits of one round give equal networks in evaluation mode, and spare the global generators."""
    with global_seeds(1):
        before = global_states()
        again = stage.strategy.fit(stage.round_)
        changed = [name for name, state in global_states().items() if state != before[name]]
    training = [name for name, network in again.networks.items() if any(part.training for part in network.modules())]
    require(
        not training, f"fit left {', '.join(training)} in training mode; return models.evaluating(), or call .eval()"
    )
    first, second = snapshot(stage.models), snapshot(again)
    differing = [key for key in first if key not in second or not torch.equal(first[key], second[key])]
    require(
        first.keys() == second.keys() and not differing,
        f"two fits of one round differ in {', '.join(differing[:3]) or 'their networks'}; draw initial weights and "
        "batches from round_.generator(...)",
    )
    require(
        not changed,
        f"fit drew from, or seeded, the global generator of {', '.join(changed)}; draw from round_.generator(...), and "
        "build networks inside torch.random.fork_rng()",
    )


def equivariant(stage: Stage) -> None:
    """Check that the picks do not depend on the order of the images, except among images of equal score.

    The check does not apply to strategies that choose with random numbers.
    """
    if stage.strategy.uses_randomness:
        return
    order = torch.randperm(len(stage.round_.dataset.train), generator=torch.Generator().manual_seed(7))
    other = rearranged(stage.round_, order)
    first, second = stage.query(BUDGET), stage.query(BUDGET, other)
    names = [set(image_names(query, round_)) for query, round_ in ((first, stage.round_), (second, other))]
    require(
        names[0] == names[1] or are_ties(first, ~torch.isin(first.indices, order[second.indices]), second, order),
        f"with the images in another order, {sorted(names[1] - names[0])} were picked instead of "
        f"{sorted(names[0] - names[1])}; choose by the images' content, not by their positions",
    )


def ties(stage: Stage) -> None:
    """Check that a query is valid in a pool of equal images, whose scores all tie."""
    values = samples_of(stage.round_)
    check_budgets(stage, with_samples(stage.round_, values[:1].expand_as(values).clone()))


def duplicates(stage: Stage) -> None:
    """Check that a query is valid in a pool that holds every image twice."""
    values, unlabelled = samples_of(stage.round_), stage.round_.unlabelled
    half = len(unlabelled) // 2
    values[unlabelled[half : 2 * half]] = values[unlabelled[:half]]
    check_budgets(stage, with_samples(stage.round_, values))


def one_class(stage: Stage) -> None:
    """Check that a query is valid in a pool whose images are all of one class."""
    values, unlabelled = samples_of(stage.round_), stage.round_.unlabelled
    noise = torch.randint(0, 8, values[unlabelled].shape, generator=torch.Generator().manual_seed(3))
    if values.is_floating_point():
        values[unlabelled] = values[unlabelled[:1]] + noise / 100
    else:
        values[unlabelled] = (values[unlabelled[:1]] // 2 + noise).to(torch.uint8)
    check_budgets(stage, with_samples(stage.round_, values))


def whole_pool(stage: Stage) -> None:
    """Check that a budget of the pool's size picks the whole pool, also in a pool of one image."""
    check_query(stage, stage.round_, len(stage.round_.unlabelled))
    last = replace(stage.round_, unlabelled=stage.round_.unlabelled[-1:])
    check_query(stage, last, 1)


def chooses_first(stage: Stage) -> None:
    """Check that a strategy with a cold start chooses from features before the first label.

    The check does not apply to other strategies. It uses features only, because an untrained encoder does not
    describe images.
    """
    if not stage.strategy.cold_start:
        return
    round_ = make_round(samples="features")
    first = replace(round_, labelled=round_.labelled[:0], unlabelled=torch.arange(len(round_.dataset.train)))
    check_budgets(replace(stage, models=cold_models(first)), first)


def explains(stage: Stage) -> None:
    """Check that a query reports its candidates, and one finite value per candidate for each score."""
    query = stage.query(BUDGET)
    require(
        torch.equal(query.candidates, stage.round_.unlabelled),
        "the candidates are not round_.unlabelled; build the query with picks(round_, positions, scores)",
    )
    for name, values in query.scores.items():
        require(
            values.shape == query.candidates.shape,
            f"score {name!r} has shape {tuple(values.shape)}; give one value per candidate, "
            f"{tuple(query.candidates.shape)}",
        )
        require(bool(values.isfinite().all()), f"score {name!r} holds NaN or infinite values; raise an error instead")


def names_non_finite(stage: Stage) -> None:
    """Check that NaN from a network stops the query with an error that names the image.

    The check does not apply to strategies that run no network on the image.
    """
    victim = int(stage.round_.unlabelled[len(stage.round_.unlabelled) // 2])
    name = stage.round_.dataset.train.names[victim]
    with poisoned(stage, victim) as seen:
        try:
            stage.query(BUDGET)
        except NonFiniteScoreError as error:
            require(name in str(error), f"the error does not name the image {name!r}: {error}; use score_pool")
            return
    require(
        not seen,
        f"a network returned NaN for {name!r} and the query continued; compute scores with score_pool, which raises an "
        "error, and never replace such values",
    )


def leaves_all_alone(stage: Stage) -> None:
    """Check that a query changes neither the models (parameters, buffers, mode) nor the round."""
    before, modes_before, round_before = snapshot(stage.models), modes(stage.models), round_state(stage.round_)
    stage.query(BUDGET)
    after = snapshot(stage.models)
    changed = [key for key in before if not torch.equal(before[key], after[key])]
    require(
        not changed,
        f"the query changed {', '.join(changed[:3])}; compute scores without gradients and in evaluation mode (batch "
        "norm in training mode updates its statistics)",
    )
    switched = [name for name, mode in modes(stage.models).items() if mode != modes_before[name]]
    require(not switched, f"the query switched {', '.join(switched[:3])} to training mode; leave modes as they are")
    require(
        all(torch.equal(*pair) for pair in zip(round_before, round_state(stage.round_), strict=True)),
        "the query changed labelled, unlabelled or targets of the round; work on copies",
    )


CHECKS: Mapping[str, Callable[[Stage], None]] = MappingProxyType(
    {
        check.__name__: check
        for check in (
            exact_count,
            distinct,
            inside_pool,
            never_labelled,
            seed_stable,
            spares_global_randomness,
            fit_repeats,
            equivariant,
            ties,
            duplicates,
            one_class,
            whole_pool,
            chooses_first,
            explains,
            names_non_finite,
            leaves_all_alone,
        )
    }
)
"""Checks by name; each is called with a stage and raises AssertionError if it fails."""
