"""Tools of the contract's checks: conditions on a query, snapshots of its surroundings, and injected faults."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from minimax_al.strategies import Query
from minimax_al.testing.stage import Stage
from minimax_al.training import Models, Round

BUDGET = 5
PREDICTION = ("predicted", "confidence")
"""Scores that every strategy reports and that do not decide the ranking."""


def require(holds: bool, sentence: str) -> None:  # noqa: FBT001 - reads like assert
    """Raise AssertionError with the sentence unless the condition holds."""
    if not holds:
        raise AssertionError(sentence)


def check_budgets(stage: Stage, round_: Round) -> None:
    """Refuse invalid queries at budgets of one image, a few images and the whole pool."""
    for budget in (1, BUDGET, len(round_.unlabelled)):
        check_query(stage, round_, budget)


def check_query(stage: Stage, round_: Round, budget: int) -> None:
    """Refuse a query that does not return `budget` distinct unlabelled images."""
    query = stage.query(budget, round_)
    require(len(query.indices) == budget, f"a budget of {budget} gave {len(query.indices)} images")
    check_distinct(query)
    check_inside(query, round_)
    check_unlabelled(query, round_)


def check_distinct(query: Query) -> None:
    """Refuse a query that returns an image twice."""
    doubled = [index for index, count in zip(*query.indices.unique(return_counts=True), strict=True) if count > 1]
    require(
        not doubled,
        f"index {int(doubled[0]) if doubled else ''} occurs more than once in {query.indices.tolist()}; "
        "choose without replacement",
    )


def check_inside(query: Query, round_: Round) -> None:
    """Refuse indices outside of the training set."""
    images = len(round_.dataset.train)
    outside = query.indices[(query.indices < 0) | (query.indices >= images)].tolist()
    require(not outside, f"indices {outside} are outside of the {images} training images")


def check_unlabelled(query: Query, round_: Round) -> None:
    """Refuse indices of labelled images."""
    labelled = query.indices[~torch.isin(query.indices, round_.unlabelled)].tolist()
    require(
        not labelled,
        f"indices {labelled} are not unlabelled; positions among the unlabelled images become indices by "
        "round_.unlabelled[positions], which picks() does",
    )


def image_names(query: Query, round_: Round) -> list[str]:
    """Return the names of the picked images, in pick order."""
    return [round_.dataset.train.names[index] for index in query.indices.tolist()]


def are_ties(first: Query, only_first: Tensor, second: Query, order: Tensor) -> bool:
    """Return whether the images picked by only one of two queries have equal scores.

    Args:
        first: First query.
        only_first: Mask of the picks that only the first query made, shape (budget,), bool.
        second: Query of the same round with its images in another order.
        order: Index in the first round of each image of the second, shape (N,), int64.
    """
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
def global_seeds(seed: int) -> Iterator[None]:
    """Seed the global generators inside the block, and restore their states afterwards."""
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


def global_states() -> dict[str, str]:
    """Return the states of the global generators, by library."""
    return {
        "torch": str(torch.get_rng_state().tolist()),
        "NumPy": str([np.asarray(part).tolist() for part in np.random.get_state()]),  # noqa: NPY002 - likewise
        "random": str(random.getstate()),
    }


def snapshot(models: Models) -> dict[str, Tensor]:
    """Return copies of all parameters and buffers, by network and name."""
    return {
        f"{name}.{key}": value.clone()
        for name, network in models.networks.items()
        for key, value in network.state_dict().items()
    }


def modes(models: Models) -> dict[str, bool]:
    """Return whether each part of each network is in training mode."""
    return {
        f"{name}.{key}".rstrip("."): part.training
        for name, network in models.networks.items()
        for key, part in network.named_modules()
    }


def round_state(round_: Round) -> tuple[Tensor, Tensor, Tensor]:
    """Return copies of the tensors of a round that a query could change: labelled, unlabelled, targets."""
    return round_.labelled.clone(), round_.unlabelled.clone(), round_.targets.clone()


@contextmanager
def poisoned(stage: Stage, victim: int) -> Iterator[list[str]]:
    """Make every network return NaN for one image inside the block.

    Args:
        stage: Stage with the networks and the round.
        victim: Index of the image in the training set.

    Yields:
        Class names of the modules that have been run on the image so far.
    """
    round_, seen = stage.round_, list[str]()
    (image,) = round_.feed.plain(round_.dataset.train, torch.tensor([victim]), 1)

    def poison(module: nn.Module, inputs: tuple[object, ...], output: object) -> Tensor | None:
        x = inputs[0] if inputs else None
        if not isinstance(x, Tensor) or not isinstance(output, Tensor) or x.shape[1:] != image.shape[1:]:
            return None
        is_victim = (x == image).flatten(1).all(dim=1)
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
