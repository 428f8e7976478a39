"""Whether VAAL's discriminator notices classes of which nothing is labelled, on digits.

    python experiments/what_vaal_sees.py 1.0 0.0052 --seeds 3 --out experiments/digits-vaal

200 images of the digits 0 to 4 have labels. Writes, for each β and seed, the AUC with which low D finds the digits 5
to 9 among the unlabelled images (one half is chance), and what the code keeps of an image: the KL term, in nats.
"""

import argparse
from pathlib import Path

import torch
from sklearn.metrics import roc_auc_score
from tables import write_table

from minimax_al import ActiveLearner, load_dataset
from minimax_al.benchmark import load_protocol
from minimax_al.training import fit_vaal


def main() -> None:
    """Write discriminator.csv, one row a β and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beta", type=float, nargs="+")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [measure(beta, seed) for beta in options.beta for seed in range(options.seeds)]
    options.out.mkdir(parents=True, exist_ok=True)
    write_table(options.out / "discriminator.csv", rows)


def measure(beta: float, seed: int) -> dict[str, float]:
    """AUC of low D for the unseen classes, and the mean KL term over all training images."""
    dataset, recipe = load_dataset("digits"), load_protocol("digits").recipe
    recipe = recipe.model_copy(update={"vaal": recipe.vaal.model_copy(update={"beta": beta})})
    seen = torch.nonzero(dataset.train_targets < 5).flatten()
    labelled = seen[torch.randperm(len(seen), generator=torch.Generator().manual_seed(seed))[:200]]
    learner = ActiveLearner(dataset, "vaal", recipe, seed=seed)
    learner.teach(labelled, dataset.train_targets[labelled])
    vae, discriminator, _ = fit_vaal(learner.round)

    (images,) = learner.round.feed.plain(dataset.train, torch.arange(len(dataset.train)), len(dataset.train))
    with torch.no_grad():
        mu, logvar = vae.encode(images)
        logits = discriminator(mu).cpu()
    nats = (0.5 * (mu.square() + logvar.exp() - 1 - logvar)).sum(dim=1).mean()
    pool = learner.pool.unlabelled
    auc = roc_auc_score(dataset.train_targets[pool] >= 5, -logits[pool])
    return {"beta": beta, "seed": seed, "auc": round(float(auc), 3), "nats": round(float(nats), 2)}


if __name__ == "__main__":
    main()
