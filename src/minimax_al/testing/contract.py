"""The checks of the contract, each with a sentence that says what was found and how to mend it."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from minimax_al.errors import NonFiniteScoreError, UnknownNameError
from minimax_al.networks import Task
from minimax_al.strategies import Query, Strategy, get_strategy
from minimax_al.testing.stage import Stage, make_round, pixels_of, rearranged, with_pixels
from minimax_al.training import Models, Round

BUDGET = 5
PREDICTION = ("predicted", "confidence")
"""Scores that every strategy reports and none ranks by."""


def check_strategy(
    strategy: str | Strategy,
    *,
    task: Task = "classification",
    checks: Iterable[str] | None = None,
    seed: int = 0,
) -> None:
    """Raise unless a strategy keeps the contract.

    Args:
        strategy: by name, or with settings of its own.
        task: of the round it is tried on, `classification` or `segmentation`.
        checks: names among `CHECKS`; default all.
        seed: of the round.

    Raises:
        AssertionError: a check failed; says which, what was found, and how to mend it.
        UnknownNameError: there is no such strategy or check.
        ConfigurationError: the strategy is not for that task.

    Example:
        >>> check_strategy("entropy", checks=["exact_count", "seed_stable"])
    """
    names = list(CHECKS) if checks is None else list(checks)
    for name in names:
        if name not in CHECKS:
            raise UnknownNameError("check", name, CHECKS)
    strategy = get_strategy(strategy) if isinstance(strategy, str) else strategy
    strategy.check_task(task)
    models = strategy.fit(make_round(task, seed=seed))
    for name in names:
        try:
            # What one query leaves behind must not hide it from the next check.
            CHECKS[name](Stage(strategy, make_round(task, seed=seed), deepcopy(models)))
        except Exception as error:  # whatever a strategy raises is a finding
            found = str(error) if isinstance(error, AssertionError) else f"raised {type(error).__name__}: {error}"
            raise AssertionError(f"{type(strategy).__name__} breaks the contract ({name}): {found}") from error


def exact_count(stage: Stage) -> None:
    """A query returns as many pictures as it was asked for, as one row of int64 indices."""
    for budget in (1, BUDGET):
        indices = stage.query(budget).indices
        _require(
            indices.shape == (budget,) and indices.dtype == torch.int64 and indices.device.type == "cpu",
            f"a budget of {budget} gave indices {tuple(indices.shape)} {indices.dtype} on {indices.device}; return "
            f"({budget},) int64 on the CPU",
        )


def distinct(stage: Stage) -> None:
    """A query names each picture once."""
    _check_distinct(stage.query(BUDGET))


def inside_pool(stage: Stage) -> None:
    """Every index is of a training picture."""
    _check_inside(stage.query(BUDGET), stage.round_)


def never_labelled(stage: Stage) -> None:
    """No index is of a picture that has its label."""
    _check_unlabelled(stage.query(BUDGET), stage.round_)
    _check_unlabelled(stage.query(len(stage.round_.unlabelled)), stage.round_)


def seed_stable(stage: Stage) -> None:
    """The same round gives the same picks in the same order, whatever torch, NumPy and random are seeded with."""
    with _global_seeds(0):
        first = stage.query(BUDGET).indices
    with _global_seeds(1):
        second = stage.query(BUDGET).indices
    _require(
        torch.equal(first, second),
        f"two queries of one round picked {first.tolist()} and {second.tolist()}; draw from "
        "round_.generator('query'), never from a global generator",
    )


def spares_global_randomness(stage: Stage) -> None:
    """A query leaves the global generators of torch, NumPy and random where they were."""
    before = _global_states()
    stage.query(BUDGET)
    changed = [name for name, state in _global_states().items() if state != before[name]]
    _require(
        not changed,
        f"the query drew from, or seeded, the global generator of {', '.join(changed)}; draw from "
        "round_.generator('query')",
    )


def fit_repeats(stage: Stage) -> None:
    """Fitting the same round twice gives the same networks, in evaluation mode."""
    with _global_seeds(1):
        again = stage.strategy.fit(stage.round_)
    training = [name for name, network in again.networks.items() if any(part.training for part in network.modules())]
    _require(
        not training, f"fit left {', '.join(training)} in training mode; return models.evaluating(), or call .eval()"
    )
    first, second = _snapshot(stage.models), _snapshot(again)
    differing = [key for key in first if key not in second or not torch.equal(first[key], second[key])]
    _require(
        first.keys() == second.keys() and not differing,
        f"two fits of one round differ in {', '.join(differing[:3]) or 'their networks'}; draw initial weights and "
        "batches from round_.generator(...)",
    )


def equivariant(stage: Stage) -> None:
    """With the pictures in another order the same pictures are picked; pictures of equal score may stand in.

    Does not apply to strategies that draw random numbers to choose.
    """
    if stage.strategy.uses_randomness:
        return
    order = torch.randperm(len(stage.round_.dataset.train), generator=torch.Generator().manual_seed(7))
    other = rearranged(stage.round_, order)
    first, second = stage.query(BUDGET), stage.query(BUDGET, other)
    names = [set(_names(query, round_)) for query, round_ in ((first, stage.round_), (second, other))]
    _require(
        names[0] == names[1] or _are_ties(first, ~torch.isin(first.indices, order[second.indices]), second, order),
        f"with the pictures in another order, {sorted(names[1] - names[0])} were picked in place of "
        f"{sorted(names[0] - names[1])}; choose by what the pictures show, not by where they stand",
    )


def ties(stage: Stage) -> None:
    """A pool of equal pictures, in which all scores tie, is chosen from like any other."""
    pixels = pixels_of(stage.round_)
    _check_budgets(stage, with_pixels(stage.round_, pixels[:1].expand_as(pixels).clone()))


def duplicates(stage: Stage) -> None:
    """A pool in which every picture is there twice is chosen from like any other."""
    pixels, unlabelled = pixels_of(stage.round_), stage.round_.unlabelled
    half = len(unlabelled) // 2
    pixels[unlabelled[half : 2 * half]] = pixels[unlabelled[:half]]
    _check_budgets(stage, with_pixels(stage.round_, pixels))


def one_class(stage: Stage) -> None:
    """A pool whose pictures are all of one class is chosen from like any other."""
    pixels, unlabelled = pixels_of(stage.round_), stage.round_.unlabelled
    noise = torch.randint(0, 8, pixels[unlabelled].shape, generator=torch.Generator().manual_seed(3))
    pixels[unlabelled] = (pixels[unlabelled[:1]] // 2 + noise).to(torch.uint8)
    _check_budgets(stage, with_pixels(stage.round_, pixels))


def whole_pool(stage: Stage) -> None:
    """A budget of the whole pool picks all of it, down to a pool of one picture."""
    _check_query(stage, stage.round_, len(stage.round_.unlabelled))
    last = replace(stage.round_, unlabelled=stage.round_.unlabelled[-1:])
    _check_query(stage, last, 1)


def explains(stage: Stage) -> None:
    """The query comes with its candidates and one finite value a candidate for each score."""
    query = stage.query(BUDGET)
    _require(
        torch.equal(query.candidates, stage.round_.unlabelled),
        "the candidates are not round_.unlabelled; build the query with picks(round_, positions, scores)",
    )
    for name, values in query.scores.items():
        _require(
            values.shape == query.candidates.shape,
            f"score {name!r} has shape {tuple(values.shape)}; give one value a candidate, "
            f"{tuple(query.candidates.shape)}",
        )
        _require(bool(values.isfinite().all()), f"score {name!r} holds NaN or infinite values; raise where they arise")


def names_non_finite(stage: Stage) -> None:
    """A picture on which a network gives NaN stops the query, by its name.

    Does not apply to strategies that show the picture to no network.
    """
    victim = int(stage.round_.unlabelled[len(stage.round_.unlabelled) // 2])
    name = stage.round_.dataset.train.names[victim]
    with _poisoned(stage, victim) as seen:
        try:
            stage.query(BUDGET)
        except NonFiniteScoreError as error:
            _require(name in str(error), f"the error does not name the picture {name!r}: {error}; use score_pool")
            return
    _require(
        not seen,
        f"a network gave NaN on {name!r} and the query went on; score with score_pool, which raises, and never "
        "replace such values",
    )


def leaves_all_alone(stage: Stage) -> None:
    """A query changes neither the models (parameters, buffers, mode) nor the round."""
    before, modes, round_before = _snapshot(stage.models), _modes(stage.models), _round_state(stage.round_)
    stage.query(BUDGET)
    after = _snapshot(stage.models)
    changed = [key for key in before if not torch.equal(before[key], after[key])]
    _require(
        not changed,
        f"the query changed {', '.join(changed[:3])}; score in evaluation mode (a batch norm in training mode "
        "remembers the pool), without gradients",
    )
    switched = [name for name, mode in _modes(stage.models).items() if mode != modes[name]]
    _require(not switched, f"the query switched {', '.join(switched[:3])} to training mode; leave modes as they are")
    _require(
        all(torch.equal(*pair) for pair in zip(round_before, _round_state(stage.round_), strict=True)),
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
            explains,
            names_non_finite,
            leaves_all_alone,
        )
    }
)
"""The checks by name; each takes a stage and raises AssertionError."""


def _require(holds: bool, sentence: str) -> None:  # noqa: FBT001 - reads like assert
    if not holds:
        raise AssertionError(sentence)


def _check_budgets(stage: Stage, round_: Round) -> None:
    for budget in (1, BUDGET, len(round_.unlabelled)):
        _check_query(stage, round_, budget)


def _check_query(stage: Stage, round_: Round, budget: int) -> None:
    query = stage.query(budget, round_)
    _require(len(query.indices) == budget, f"a budget of {budget} gave {len(query.indices)} pictures")
    _check_distinct(query)
    _check_inside(query, round_)
    _check_unlabelled(query, round_)


def _check_distinct(query: Query) -> None:
    doubled = [index for index, count in zip(*query.indices.unique(return_counts=True), strict=True) if count > 1]
    _require(
        not doubled,
        f"index {int(doubled[0]) if doubled else ''} is there more than once in {query.indices.tolist()}; "
        "choose without replacement",
    )


def _check_inside(query: Query, round_: Round) -> None:
    pictures = len(round_.dataset.train)
    outside = query.indices[(query.indices < 0) | (query.indices >= pictures)].tolist()
    _require(not outside, f"indices {outside} are outside of the {pictures} training pictures")


def _check_unlabelled(query: Query, round_: Round) -> None:
    labelled = query.indices[~torch.isin(query.indices, round_.unlabelled)].tolist()
    _require(
        not labelled,
        f"indices {labelled} are not unlabelled; positions among the unlabelled pictures become indices by "
        "round_.unlabelled[positions], which picks() does",
    )


def _names(query: Query, round_: Round) -> list[str]:
    return [round_.dataset.train.names[index] for index in query.indices.tolist()]


def _are_ties(first: Query, only_first: Tensor, second: Query, order: Tensor) -> bool:
    """Whether the pictures that one of two queries alone picked have the same values in what was ranked by."""
    only_second = ~torch.isin(order[second.indices], first.indices)
    ranked_by = [name for name in first.scores if name not in PREDICTION]
    return bool(ranked_by) and all(
        torch.allclose(
            first.picked(name)[only_first].double().sort().values,
            second.picked(name)[only_second].double().sort().values,
            rtol=1e-9,
        )
        for name in ranked_by
    )


@contextmanager
def _global_seeds(seed: int) -> Iterator[None]:
    """Seed the global generators inside the block and give their states back afterwards."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - the global one is meant
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - likewise
            random.seed(seed)
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002 - likewise
        random.setstate(python_state)


def _global_states() -> dict[str, str]:
    return {
        "torch": str(torch.get_rng_state().tolist()),
        "NumPy": str([np.asarray(part).tolist() for part in np.random.get_state()]),  # noqa: NPY002 - likewise
        "random": str(random.getstate()),
    }


def _snapshot(models: Models) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, network in models.networks.items()
        for key, value in network.state_dict().items()
    }


def _modes(models: Models) -> dict[str, bool]:
    return {
        f"{name}.{key}".rstrip("."): part.training
        for name, network in models.networks.items()
        for key, part in network.named_modules()
    }


def _round_state(round_: Round) -> tuple[Tensor, Tensor, Tensor]:
    return round_.labelled.clone(), round_.unlabelled.clone(), round_.targets.clone()


@contextmanager
def _poisoned(stage: Stage, victim: int) -> Iterator[list[str]]:
    """Inside the block every network gives NaN on one picture; the list fills with those that saw it."""
    round_, seen = stage.round_, list[str]()
    (picture,) = round_.feed.plain(round_.dataset.train, torch.tensor([victim]), 1)

    def poison(module: nn.Module, inputs: tuple[object, ...], output: object) -> Tensor | None:
        x = inputs[0] if inputs else None
        if not isinstance(x, Tensor) or not isinstance(output, Tensor) or x.shape[1:] != picture.shape[1:]:
            return None
        is_victim = (x == picture).flatten(1).all(dim=1)
        if not bool(is_victim.any()):
            return None
        seen.append(type(module).__name__)
        return output.masked_fill(is_victim.view(-1, *[1] * (output.ndim - 1)), torch.nan)

    parts = {part for network in stage.models.networks.values() for part in network.modules()}
    handles = [part.register_forward_hook(poison) for part in parts]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
