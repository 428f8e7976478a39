"""What is measured: cases, their pools, and the contestants that choose from them.

Beside ours stand naive versions, written out below, and other libraries where they are installed. None of the naive
versions is careless: norms and factors are computed once, passes over the pool are matrix products.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from minimax_al.acquisition import badge, batchbald, entropy, k_center_greedy, top

CHUNK = 1 << 14
IMAGENET = 1_281_167


@dataclass(frozen=True)
class Case:
    """One job: a pool, and how many samples to choose from it.

    Attributes:
        name: of the case.
        task: "kcenter", "badge", "batchbald" or "top".
        pool: N, samples to choose from.
        budget: b, samples to choose.
        width: d, features a sample.
        labelled: L, samples that are labelled already.
        classes: K.
        passes: T, of dropout.
        data: "random" or "clustered" features; "random" or "alike" passes.
        reference_picks: fewer picks asked of naive versions, whose picks all take equally long; 0 = all.
    """

    name: str
    task: str
    pool: int
    budget: int
    width: int = 512
    labelled: int = 0
    classes: int = 0
    passes: int = 0
    data: str = "clustered"
    reference_picks: int = 0

    @property
    def size(self) -> str:
        """The sizes in the field's letters."""
        letters = {"N": self.pool, "d": self.width, "L": self.labelled, "K": self.classes, "T": self.passes}
        used = {k: v for k, v in letters.items() if v and not (k == "d" and self.task in {"batchbald", "top"})}
        return " ".join(f"{k}={v:,}" for k, v in {**used, "b": self.budget}.items())


QUICK = [
    Case("kcenter-quick", "kcenter", 5_000, 100, 128, labelled=100),
    Case("badge-quick", "badge", 5_000, 100, 128, classes=10),
    Case("batchbald-quick", "batchbald", 500, 4, classes=5, passes=10),
    Case("entropy-quick", "top", 20_000, 100, classes=10),
]
STANDARD = [
    Case("kcenter-10k", "kcenter", 10_000, 500, labelled=500),
    Case("kcenter-20k", "kcenter", 20_000, 500, labelled=500),
    Case("kcenter-50k", "kcenter", 50_000, 2_500, labelled=500, reference_picks=50),
    Case("kcenter-50k-random", "kcenter", 50_000, 2_500, labelled=500, reference_picks=50, data="random"),
    Case("kcenter-200k", "kcenter", 200_000, 10_000, labelled=1_000, reference_picks=20),
    Case("badge-10k", "badge", 10_000, 500, classes=100, reference_picks=50),
    Case("badge-50k", "badge", 50_000, 1_000, classes=100, reference_picks=50),
    Case("badge-200k", "badge", 200_000, 1_000, classes=100, reference_picks=10),
    Case("batchbald-500", "batchbald", 500, 6, classes=10, passes=20, data="alike"),
    Case("batchbald-2k", "batchbald", 2_000, 8, classes=10, passes=20, data="alike"),
    Case("batchbald-1k-random", "batchbald", 1_000, 6, classes=10, passes=20, data="random"),
    Case("entropy-50k", "top", 50_000, 2_500, classes=100),
    Case("entropy-million", "top", IMAGENET, 64_058, classes=100),
]
FULL = [
    *STANDARD,
    Case("kcenter-20k-random", "kcenter", 20_000, 500, labelled=500, data="random"),
    Case("kcenter-200k-random", "kcenter", 200_000, 10_000, labelled=1_000, reference_picks=20, data="random"),
    Case("million", "kcenter", IMAGENET - 64_058, 64_058, labelled=64_058),
    Case("million-random", "kcenter", IMAGENET - 64_058, 64_058, labelled=64_058, data="random"),
    Case("badge-50k-random", "badge", 50_000, 1_000, classes=100, reference_picks=50, data="random"),
    Case("badge-million", "badge", IMAGENET, 10_000, classes=100),
    Case("batchbald-2k-random", "batchbald", 2_000, 8, classes=10, passes=20, data="random"),
    Case("batchbald-10k", "batchbald", 10_000, 50, classes=10, passes=20, data="alike"),
]
CASES = {case.name: case for case in [*QUICK, *FULL]}


@dataclass(frozen=True)
class Sweep:
    """A case of which one size grows.

    Attributes:
        case: all sizes but one.
        letter: which one grows, by the field's letter.
        values: its values.
    """

    case: Case
    letter: str
    values: tuple[int, ...]

    def cases(self) -> list[Case]:
        """One for each value."""
        field = {"N": "pool", "d": "width", "K": "classes", "b": "budget"}[self.letter]
        return [Case(**{**vars(self.case), field: value}) for value in self.values]


KCENTER = Case("kcenter", "kcenter", 20_000, 500, 256, labelled=500, reference_picks=20)
BADGE = Case("badge", "badge", 10_000, 200, 256, classes=20, reference_picks=20)
BATCHBALD = Case("batchbald", "batchbald", 500, 6, classes=6, passes=10, data="alike")
SWEEPS = [
    Sweep(KCENTER, "N", (5_000, 10_000, 20_000, 40_000, 80_000)),
    Sweep(KCENTER, "d", (64, 128, 256, 512, 1_024)),
    Sweep(KCENTER, "b", (250, 500, 1_000, 2_000, 4_000)),
    Sweep(BADGE, "N", (5_000, 10_000, 20_000, 40_000, 80_000)),
    Sweep(BADGE, "d", (64, 128, 256, 512, 1_024)),
    Sweep(BADGE, "K", (10, 30, 100, 300)),
    Sweep(BADGE, "b", (100, 200, 400, 800, 1_600)),
    Sweep(BATCHBALD, "N", (250, 500, 1_000, 2_000)),
    Sweep(BATCHBALD, "K", (3, 6, 12, 24)),
    Sweep(BATCHBALD, "b", (4, 6, 8, 12)),
]
QUICK_SWEEPS = [
    Sweep(Case("kcenter", "kcenter", 2_000, 50, 64, labelled=50, reference_picks=20), "N", (1_000, 2_000, 4_000)),
    Sweep(Case("badge", "badge", 2_000, 50, 64, classes=5, reference_picks=20), "K", (3, 6, 12)),
    Sweep(Case("batchbald", "batchbald", 100, 4, classes=3, passes=5, data="alike"), "b", (2, 4, 6)),
]
FULL_SWEEPS = [
    *SWEEPS,
    Sweep(KCENTER, "N", (20_000, 80_000, 320_000, IMAGENET)),
    Sweep(BADGE, "N", (20_000, 80_000, 320_000, IMAGENET)),
]


def generate(samples: int, width: int, kind: str, seed: int) -> Tensor:
    """Features in chunks, so that generation needs no memory beside them.

    Args:
        samples: number of rows.
        width: number of columns.
        kind: "random" (independent normal) or "clustered" (200 clusters of various spreads).
        seed: seed of the generator.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.empty(samples, width)
    centers = 3 * torch.randn(200, width, generator=generator)
    for chunk in rows.split(CHUNK):
        torch.randn(chunk.shape, generator=generator, out=chunk)
        if kind == "clustered":
            chunk.mul_(torch.rand(len(chunk), 1, generator=generator))
            chunk.add_(centers[torch.randint(200, (len(chunk),), generator=generator)])
    return rows


def naive_k_center(features: Tensor, centers: Tensor, budget: int) -> Tensor:
    """Greedy k-center with cached norms: one pass over the pool for every pick."""
    norms = features.square().sum(dim=1)
    nearest = torch.full_like(norms, torch.inf)
    for chunk in centers.split(256):
        chunk_distances = torch.addmm(chunk.square().sum(dim=1), features, chunk.T, alpha=-2)
        nearest = torch.minimum(nearest, chunk_distances.amin(dim=1) + norms)
    picks = []
    for _ in range(budget):
        picks.append(int(nearest.argmax()))
        distances = norms + norms[picks[-1]] - 2 * (features @ features[picks[-1]])
        nearest = torch.minimum(nearest, distances)
        nearest[picks[-1]] = -torch.inf
    return torch.tensor(picks)


def naive_badge(logits: Tensor, features: Tensor, budget: int) -> Tensor:
    """k-means++ on factored gradient embeddings: one pass over the pool for every pick."""
    generator = torch.Generator().manual_seed(0)
    errors = logits.softmax(dim=1)
    errors[torch.arange(len(errors)), errors.argmax(dim=1)] -= 1
    norms = errors.square().sum(dim=1) * features.square().sum(dim=1)
    weights, nearest, picks = norms.clone(), torch.full_like(norms, torch.inf), []
    for _ in range(budget):
        cumulative = weights.double().cumsum(dim=0)
        point = torch.rand(1, dtype=torch.float64, generator=generator).to(cumulative.device) * cumulative[-1]
        pick = int(torch.searchsorted(cumulative, point, right=True))
        picks.append(pick)
        distances = norms + norms[pick] - 2 * (errors @ errors[pick]) * (features @ features[pick])
        weights = nearest = torch.minimum(nearest, distances).clamp_(min=0)
        weights[pick] = 0
    return torch.tensor(picks)


def naive_batchbald(logits: Tensor, budget: int, most: int = 10_000) -> Tensor:
    """Greedy BatchBALD that scores every sample for every pick, with at most `most` joint configurations."""
    probs_TNK = logits.double().softmax(dim=2)
    passes = len(probs_TNK)
    conditional_N = torch.special.entr(probs_TNK).sum(dim=2).mean(dim=0)
    joint_TC = torch.ones(passes, 1, dtype=torch.float64, device=logits.device)
    generator = torch.Generator(logits.device).manual_seed(0)
    picks: list[int] = []
    for _ in range(budget):
        weights_C = joint_TC.mean(dim=0)
        posterior_CT = (joint_TC / joint_TC.sum(dim=0)).T
        scores = torch.cat(
            [
                torch.mv(torch.special.entr(torch.einsum("ct,tnk->nck", posterior_CT, chunk)).sum(dim=2), weights_C)
                for chunk in probs_TNK.split(64, dim=1)
            ]
        )
        scores -= conditional_N
        scores[picks] = -torch.inf
        picks.append(int(scores.argmax()))
        joint_TC = (joint_TC[:, :, None] * probs_TNK[:, picks[-1]][:, None]).reshape(passes, -1)
        if joint_TC.shape[1] > most:
            weights = joint_TC.mean(dim=0)
            kept = torch.multinomial(weights, most, replacement=True, generator=generator)
            joint_TC = joint_TC[:, kept] / weights[kept]
    return torch.tensor(picks)


def skactiveml_coreset(features: Tensor, centers: Tensor, budget: int) -> Tensor:
    """scikit-activeml's CoreSet."""
    pool = importlib.import_module("skactiveml.pool")
    rows = torch.cat([centers, features]).numpy()
    labels = np.concatenate([np.zeros(len(centers)), np.full(len(features), np.nan)])
    picks = pool.CoreSet(random_state=0).query(rows, labels, batch_size=budget)
    return torch.from_numpy(np.asarray(picks)) - len(centers)


def baal_batchbald(logits: Tensor, budget: int) -> Tensor:
    """Baal's BatchBALD."""
    heuristics = importlib.import_module("baal.active.heuristics")
    probs_NKT = logits.softmax(dim=2).permute(1, 2, 0).contiguous().numpy()
    picks = heuristics.BatchBALD(num_samples=budget, num_draw=10_000 // len(logits))(probs_NKT)
    return torch.from_numpy(np.asarray(picks[0] if isinstance(picks, tuple) else picks)[:budget].copy())


def skactiveml_batchbald(logits: Tensor, budget: int) -> Tensor:
    """scikit-activeml's BatchBALD."""
    pool = importlib.import_module("skactiveml.pool")
    utilities = pool.batch_bald(logits.softmax(dim=2).numpy(), budget, n_MC_samples=10_000, random_state=0)
    return torch.from_numpy(np.nanargmax(utilities, axis=1))


def our_badge(logits: Tensor, features: Tensor, budget: int) -> Tensor:
    """minimax-al's BADGE with a fixed seed."""
    return badge(logits, features, budget, torch.Generator().manual_seed(0))


def our_batchbald(logits: Tensor, budget: int) -> Tensor:
    """minimax-al's BatchBALD with a fixed seed."""
    return batchbald(logits, budget, generator=torch.Generator().manual_seed(0))


def our_k_center(features: Tensor, centers: Tensor, budget: int) -> Tensor:
    """minimax-al's greedy k-center."""
    return k_center_greedy(features, budget, centers)


def naive_top(logits: Tensor, budget: int) -> Tensor:
    """Entropies of the whole pool at once by the formula, then a full sort."""
    probs = logits.softmax(dim=1)
    return (-(probs * probs.clamp(min=1e-12).log()).sum(dim=1)).argsort(descending=True)[:budget]


def our_top(logits: Tensor, budget: int) -> Tensor:
    """minimax-al's entropies in one streamed pass, then selection."""
    return top(entropy(logits), budget)


@dataclass(frozen=True)
class Contestant:
    """An implementation: the function, the package that it needs, the largest pool that it is asked for."""

    choose: Callable[..., Tensor]
    package: str = "minimax-al"
    largest_pool: int = 1 << 40


CONTESTANTS = {
    "kcenter": {
        "ours": Contestant(our_k_center),
        "naive": Contestant(naive_k_center, largest_pool=320_000),
        "scikit-activeml": Contestant(skactiveml_coreset, "scikit-activeml", 20_000),
    },
    "badge": {
        "ours": Contestant(our_badge),
        "naive": Contestant(naive_badge, largest_pool=320_000),
    },
    "batchbald": {
        "ours": Contestant(our_batchbald),
        "naive": Contestant(naive_batchbald, largest_pool=2_000),
        "baal": Contestant(baal_batchbald, "baal", 500),
        "scikit-activeml": Contestant(skactiveml_batchbald, "scikit-activeml", 500),
    },
    "top": {
        "ours": Contestant(our_top),
        "naive": Contestant(naive_top),
    },
}


def inputs(case: Case, device: str = "cpu") -> dict[str, Tensor]:
    """Return the inputs that the contestants of a case share."""
    return {name: values.to(device) for name, values in _inputs(case).items()}


def _inputs(case: Case) -> dict[str, Tensor]:
    if case.task == "kcenter":
        rows = generate(case.labelled + case.pool, case.width, case.data, seed=0)
        return {"features": rows[case.labelled :], "centers": rows[: case.labelled]}
    if case.task == "badge":
        features = generate(case.pool, case.width, case.data, seed=0)
        return {"logits": generate(case.pool, case.classes, case.data, seed=1), "features": features}
    if case.task == "top":
        return {"logits": generate(case.pool, case.classes, "random", seed=1)}
    generator = torch.Generator().manual_seed(0)
    passes = torch.randn(case.passes, case.pool, case.classes, generator=generator)
    if case.data == "random":
        return {"logits": 2 * passes}
    shared = 3 * torch.randn(1, case.pool, case.classes, generator=generator)
    return {"logits": shared + 0.7 * torch.rand(1, case.pool, 1, generator=generator) * passes}
