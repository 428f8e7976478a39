"""Run the grid on features: one results folder per data set and start, resumed by the same command.

    python experiments/features-grid/run.py main --tables tables --out runs
    python experiments/features-grid/run.py cold --sets flowers,textures --tables tables --out runs

`tables` holds what `split.py` wrote. Parts: `main`, `mal`, `further`, `slow` and `readings` are strategies after
`centroids`; `cold` compares the first labels themselves; `starts` compares strategies after other first labels.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import torch

from minimax_al.benchmark import load_protocol, run_grid
from minimax_al.benchmark.protocol import Protocol
from minimax_al.data import Dataset
from minimax_al.training import Models, Round
from minimax_al.training.fits import fits

GRID = Path(__file__).with_name("grid.yaml")

# First labels, labels per round, points: from about 1 label per class on. Two X-ray images are often of one class.
NUMBERS = {
    "textures": (10, 50, 4),
    "flowers": (5, 30, 4),
    "xray": (10, 15, 3),
    "caltech101": (101, 202, 2),
    "gtsrb": (43, 172, 2),
    "cifar100": (100, 950, 3),
    "tiles": (12, 30, 3),
    "trash": (6, 36, 3),
    "cracks": (10, 15, 3),
}
DEVELOPMENT = ("textures", "flowers", "xray", "caltech101", "gtsrb", "cifar100")
PARTS = {
    "main": "random,margin,entropy,badge,dropquery,cluster_margin,typicality,coreset,uherding",
    "mal": "mal,random+mal",
    "further": "least_confidence,powerbald,alfa_mix,galaxy,coverage,centroids,maxherding,probcover,bald",
    "slow": "batchbald,bait,learning_loss,waal,badge+mal,random-equal-work",
    "starts": "random,margin,typicality,cluster_margin,uherding",
    "readings": "mal-no-minimax,mal-no-discriminator,mal-diversity-only,mal-filter",
}
STARTS = ("random", "typicality", "probcover")
COLD = ("random", "centroids", "typicality", "probcover", "maxherding")


class Job(NamedTuple):
    """One results folder and what runs in it."""

    folder: str
    strategies: str
    initial: str
    numbers: tuple[int, int, int]


def jobs_of(part: str, name: str) -> list[Job]:
    """Return the jobs of a part on one data set."""
    start, step, points = NUMBERS[name]
    if part == "cold":
        return [Job(f"{name}-cold-{each}", "random", each, (start, step, 1)) for each in COLD]
    if part == "starts":
        return [Job(f"{name}-{each}", PARTS[part], each, (start, step, points)) for each in STARTS]
    return [Job(name, PARTS[part], "centroids", (start, step, points))]


def share_the_first_fit() -> None:
    """Choose the first labels of a seed once, and fit the head to them once, for all strategies.

    Both are deterministic, so that only the recorded seconds of first rounds differ.
    """
    choose, fit = Protocol.initial_pool, fits.fit_head
    pools: dict[tuple[str, str, int], torch.Tensor] = {}
    heads: dict[tuple[str, int, int, tuple[int, ...]], Models] = {}

    def initial_pool(self: Protocol, dataset: Dataset, seed: int) -> torch.Tensor:
        key = (self.name, self.initial, seed)
        if key not in pools:
            pools[key] = choose(self, dataset, seed)
        return pools[key].clone()

    def fit_head(round_: Round, **settings: Any) -> Models:  # noqa: ANN401 - those of the fit
        firsts = {tuple(pool.tolist()) for pool in pools.values()}
        labelled = tuple(round_.labelled.tolist())
        key = (round_.recipe.model_dump_json(), len(round_.dataset.train), round_.seed, labelled)
        if round_.member or any(settings.values()) or labelled not in firsts:
            return fit(round_, **settings)
        if key not in heads:
            heads[key] = fit(round_, **settings)
        return heads[key]

    Protocol.initial_pool = initial_pool  # type: ignore[method-assign]
    fits.fit_head = fit_head  # type: ignore[assignment]


def main() -> None:
    """Run a part on the data sets, one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "cold"])
    parser.add_argument("--sets", default=",".join(DEVELOPMENT))
    parser.add_argument("--tables", type=Path, default=Path("tables"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--strategies", help="instead of the part's")
    options = parser.parse_args()
    share_the_first_fit()
    for name in options.sets.split(","):
        for job in jobs_of(options.part, name):
            start, step, points = job.numbers
            strategies = (options.strategies or job.strategies).split(",")
            protocol = load_protocol(
                str(GRID),
                name=name,
                data=options.tables / f"{name}.parquet",
                strategies=strategies,
                initial=job.initial,
                seeds=options.seeds,
                start=start,
                step=step,
                points=points,
            )
            failures = run_grid(protocol, options.out / job.folder, mixed=True)
            print(name, job.folder, "finished", failures or "", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
