"""What the discriminator D and the entropy know of the unlabelled images, round by round, from a results folder.

    python experiments/what_d_sees.py runs/digits --out experiments/digits-d

For every round that asked D, of every cell: the AUC with which low D and high entropy find the images that the
classifier gets wrong (one half is chance), how alike D and entropy rank the pool, and how alike the D of two seeds of
one strategy rank the images that neither has labelled (not where each seed has a pool of its own, as under
imbalance). Reads the scores that the benchmark keeps; trains nothing.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from results_folder import results_parser
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from tables import write_table

from minimax_al.benchmark.folders.folder import read_protocol
from minimax_al.benchmark.folders.round_files import read_rounds, read_scores
from minimax_al.benchmark.runs.grid import Cell, cells_of
from minimax_al.errors import MinimaxALError


def main() -> None:
    """Write signals.csv, one row a round, and agreement.csv, one row a round of a pair of seeds."""
    parser = results_parser(__doc__)
    options = parser.parse_args()
    try:
        signals, agreement = read(options.results)
    except MinimaxALError as error:
        parser.exit(2, f"what_d_sees: {error}\n")
    if not signals:
        parser.exit(2, f"what_d_sees: no round in {str(options.results)!r} asked D: run a strategy such as 'mal'\n")
    options.out.mkdir(parents=True, exist_ok=True)
    write_table(options.out / "signals.csv", signals)
    if agreement:  # of two seeds at least
        write_table(options.out / "agreement.csv", agreement)


def read(results: Path) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the rows of both tables, from a results folder."""
    protocol = read_protocol(results)
    dataset = protocol.load()
    scored: dict[tuple[Cell, int], dict[str, NDArray[np.float64]]] = {}
    signals: list[dict[str, object]] = []
    for cell in cells_of(protocol):
        targets = protocol.dataset_for(dataset, cell.seed).train_targets.numpy()
        for result in read_rounds(cell.folder(results), protocol)[:-1]:
            candidates, tensors = read_scores(cell.folder(results), result.round)
            if "labelledness" not in tensors:
                continue
            scores = {name: values.double().numpy() for name, values in tensors.items()}
            wrong = scores["predicted"] != targets[candidates.numpy()]
            signals.append(
                {
                    "strategy": cell.strategy,
                    "seed": cell.seed,
                    "labels": result.labels,
                    "wrong": f"{wrong.mean():.3f}",
                    "auc_errors_by_low_d": f"{roc_auc_score(wrong, -scores['labelledness']):.3f}",
                    "auc_errors_by_entropy": f"{roc_auc_score(wrong, scores['entropy']):.3f}",
                    "spearman_low_d_and_entropy": f"{spearmanr(-scores['labelledness'], scores['entropy'])[0]:.3f}",
                }
            )
            scored[cell, result.round] = {"candidates": candidates.numpy(), **scores}
    # The same number is another image where every seed draws its own pool.
    own_pools = protocol.imbalanced or protocol.validation > 0
    return signals, [] if own_pools else agreements(scored)


def agreements(scored: dict[tuple[Cell, int], dict[str, NDArray[np.float64]]]) -> list[dict[str, object]]:
    """Spearman correlation of D, and of the entropy, between two seeds, on the images that both may still choose."""
    rows: list[dict[str, object]] = []
    for (first, number), (second, other) in combinations(scored, 2):
        if (first.strategy, number) != (second.strategy, other):
            continue
        left, right = scored[first, number], scored[second, other]
        _, here, there = np.intersect1d(left["candidates"], right["candidates"], return_indices=True)
        row = {"strategy": first.strategy, "round": number, "seeds": f"{first.seed} {second.seed}"}
        for name in ("labelledness", "entropy"):
            row[f"spearman_{name}"] = f"{spearmanr(left[name][here], right[name][there])[0]:.3f}"
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
