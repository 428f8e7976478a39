"""What MAL's two conditions pick from one and the same pool, as images and in figures, from a results folder.

    python experiments/what_it_picks.py runs/cifar100-small --out experiments/cifar100-small

From the scores that the strategy `mal` left in every round, each rule chooses as many images as the round queried:
at random, the highest entropy, the lowest D, and the paper's intersection. `picks.csv` says of each choice how many
images the classifier got wrong, how many classes it holds, and how unevenly; `picks.webp` shows the first of each, in
the first and in the last round of the first seed. Trains nothing.
"""

from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from results_folder import results_parser
from tables import write_table
from torch import Tensor

from minimax_al.acquisition import choose_by_rule
from minimax_al.benchmark import Protocol
from minimax_al.benchmark.folders.folder import read_protocol
from minimax_al.benchmark.folders.round_files import read_rounds, read_scores
from minimax_al.benchmark.runs.grid import Cell, cells_of
from minimax_al.data import Dataset
from minimax_al.errors import MinimaxALError

STRATEGY = "mal"
SHOWN = 12
RULES = {
    "random": "at random",
    "entropy": "entropy alone",
    "diversity": "D alone",
    "intersection": "both (Algorithm 2)",
}


def main() -> None:
    """Write picks.csv and picks.webp."""
    parser = results_parser(__doc__)
    options = parser.parse_args()
    try:
        protocol = read_protocol(options.results)
        dataset = protocol.load()
        cells = [cell for cell in cells_of(protocol) if cell.strategy == STRATEGY]
        rows = [row for cell in cells for row in rows_of(options.results, protocol, dataset, cell)]
    except MinimaxALError as error:
        parser.exit(2, f"what_it_picks: {error}\n")
    if not rows:
        parser.exit(2, f"what_it_picks: {str(options.results)!r} has no finished round of {STRATEGY!r}\n")
    options.out.mkdir(parents=True, exist_ok=True)
    write_table(options.out / "picks.csv", rows)
    draw(options.out / "picks.webp", options.results, protocol, dataset, cells[0])


def choices(folder: Path, number: int, budget: int, seed: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Each rule, what it chooses (indices in pick order), and what the classifier takes these for."""
    candidates, scores = read_scores(folder, number)
    for rule in RULES:
        if rule == "random":
            positions = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(seed))[:budget]
        else:
            positions = choose_by_rule(rule, scores["labelledness"], scores["entropy"], budget)
        yield rule, candidates[positions], scores["predicted"][positions]


def rows_of(results: Path, protocol: Protocol, dataset: Dataset, cell: Cell) -> Iterator[dict[str, object]]:
    """One row a round and rule."""
    targets = protocol.dataset_for(dataset, cell.seed).train_targets
    folder = cell.folder(results)
    for result in read_rounds(folder, protocol)[:-1]:
        for rule, indices, predicted in choices(folder, result.round, len(result.picks), cell.seed):
            counts = torch.bincount(targets[indices], minlength=dataset.num_classes).double()
            yield {
                "seed": cell.seed,
                "labels": result.labels,
                "rule": rule,
                "wrong": f"{(predicted != targets[indices]).double().mean():.3f}",
                "classes": int((counts > 0).sum()),
                # 1 for all classes alike, 1 / K for one class alone.
                "evenness": f"{torch.special.entr(counts / counts.sum()).sum().exp() / dataset.num_classes:.3f}",
            }


def draw(path: Path, results: Path, protocol: Protocol, dataset: Dataset, cell: Cell) -> None:
    """Draw the first picks of every rule in the first and the last round with a query."""
    pool = protocol.dataset_for(dataset, cell.seed)
    folder = cell.folder(results)
    rounds = [result for result in read_rounds(folder, protocol)[:-1] if result.picks]
    strips = [
        (result.labels, rule, indices[:SHOWN], predicted[:SHOWN])
        for result in (*rounds[:1], *rounds[1:][-1:])
        for rule, indices, predicted in choices(folder, result.round, len(result.picks), cell.seed)
    ]
    figure, axes = plt.subplots(len(strips), SHOWN, figsize=(SHOWN * 0.95, len(strips) * 1.25), squeeze=False)
    for row, (labels, rule, indices, predicted) in zip(axes, strips, strict=True):
        pixels = next(iter(pool.train.stream([indices]))).permute(0, 2, 3, 1).numpy()
        for axis, image, index, taken_for in zip(row, pixels, indices, predicted, strict=False):
            truth = dataset.class_names[int(pool.train_targets[index])]
            guess = dataset.class_names[int(taken_for)]
            axis.imshow(image)
            axis.set_title(truth, fontsize=6, pad=2, color="black" if truth == guess else "#b00020")
            axis.set_xlabel("" if truth == guess else f"→ {guess}", fontsize=5.5, labelpad=1, color="#b00020")
        row[0].set_ylabel(f"{labels:,} labels\n{RULES[rule]}", fontsize=6.5, rotation=0, ha="right", va="center")
    for axis in np.ravel(axes):
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    figure.subplots_adjust(left=0.11, right=0.99, top=0.975, bottom=0.02, wspace=0.12, hspace=0.42)
    figure.savefig(path, dpi=110, pil_kwargs={"quality": 80})


if __name__ == "__main__":
    main()
