"""Minimax Active Learning on handwritten digits, whole, in one file of plain PyTorch.

    python examples/minimax_one_file.py

Ebrahimi, Gan, Salahi, Darrell: Minimax Active Learning, 2020. An encoder F and a cosine classifier C play a game
over the entropy H of C's predictions on unlabelled images: C raises it, F lowers it, until features gather around
prototypes that lie between labelled and unlabelled images. A discriminator D learns to tell labelled features from
unlabelled ones. The next images to label are those that D takes for unlabelled and on which C is unsure.
"""

import argparse
import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

TEMPERATURE = 0.05  # T
ENTROPY_WEIGHT = 0.1  # λ
BATCH = 64


class ReverseGradient(torch.autograd.Function):
    """The identity, whose gradient changes its sign: what lies below it learns the opposite of what lies above."""

    @staticmethod
    def forward(_ctx: object, x: Tensor) -> Tensor:
        """Return x."""
        return x.view_as(x)

    @staticmethod
    def backward(_ctx: object, gradient: Tensor) -> Tensor:
        """Return −gradient."""
        return -gradient


def encoder() -> nn.Module:
    """F: images (B, 1, 8, 8) to features (B, 128)."""

    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*block(1, 32), *block(32, 64), nn.Flatten(), nn.Linear(256, 128))


class CosineClassifier(nn.Module):
    """C, Eq. 1: logits Wᵀ f / (T ‖f‖), from the angles between a feature and the prototypes of the classes."""

    def __init__(self) -> None:
        super().__init__()
        self.prototypes = nn.Linear(128, 10, bias=False)

    def forward(self, features: Tensor, *, reverse: bool = False) -> Tensor:
        """Map features (B, 128) to logits (B, 10)."""
        if reverse:
            features = ReverseGradient.apply(features)
        return self.prototypes(F.normalize(features)) / TEMPERATURE


class Discriminator(nn.Module):
    """D, Eq. 3: one logit an image, high = labelled."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, 128) to logits (B,)."""
        return self.layers(F.normalize(features) / TEMPERATURE).squeeze(1)


def negative_entropy(logits: Tensor) -> Tensor:
    """Eq. 2: Σ_k p_k log p_k = −H, averaged over images."""
    log_p = logits.log_softmax(dim=1)
    return (log_p.exp() * log_p).sum(dim=1).mean()


def batches(indices: Tensor, steps: int) -> list[Tensor]:
    """Return `steps` batches from repeated passes over the indices, each pass in a new order."""
    size = min(BATCH, len(indices))
    passes = [indices[torch.randperm(len(indices))] for _ in range(-(-steps * size // len(indices)))]
    return list(torch.cat(passes)[: steps * size].split(size))


def play(x: Tensor, y: Tensor, labelled: Tensor, unlabelled: Tensor, steps: int) -> tuple[nn.Module, ...]:
    """Algorithm 1: train F, C and D, one Adam each."""
    f, c, d = networks = (encoder(), CosineClassifier(), Discriminator())
    adam_f, adam_c, adam_d = (torch.optim.Adam(network.parameters(), lr=1e-3) for network in networks)
    for batch_l, batch_u in zip(batches(labelled, steps), batches(unlabelled, steps), strict=True):
        # Lines 4–6: F and C learn the labels.
        features_l = f(x[batch_l])
        F.cross_entropy(c(features_l), y[batch_l]).backward()
        update(adam_f, adam_c)
        # Lines 7–9: C descends λ Σ p log p, so entropy rises; past the reversal F ascends it, so entropy falls.
        features_u = f(x[batch_u])
        (ENTROPY_WEIGHT * negative_entropy(c(features_u, reverse=True))).backward()
        update(adam_f, adam_c)
        # Lines 10–11: D learns 1 = labelled, 0 = unlabelled, from features that it cannot change.
        logits_l, logits_u = d(features_l.detach()), d(features_u.detach())
        (F.softplus(-logits_l).mean() + F.softplus(logits_u).mean()).backward()
        update(adam_d)
    return tuple(network.eval() for network in networks)


def train_task_model(model: nn.Module, x: Tensor, y: Tensor, labelled: Tensor, steps: int) -> nn.Module:
    """Algorithm 3: the network that is taken away learns from all labels so far."""
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    for batch in batches(labelled, steps):
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        update(adam)
    return model.eval()


def update(*optimizers: torch.optim.Optimizer) -> None:
    """One step of each network that has learnt something, from the gradients of the last loss."""
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


@torch.no_grad()
def query(networks: tuple[nn.Module, ...], x: Tensor, unlabelled: Tensor, budget: int) -> Tensor:
    """Algorithm 2: the first `budget` images that are in both lists, lowest D and highest entropy, as they grow."""
    f, c, d = networks
    features = f(x[unlabelled])
    log_p = c(features).log_softmax(dim=1)
    entropy = -(log_p.exp() * log_p).sum(dim=1)
    rank_d, rank_h = d(features).argsort().argsort(), (-entropy).argsort().argsort()
    return unlabelled[torch.maximum(rank_d, rank_h).argsort(stable=True)[:budget]]


def run(strategy: str, seed: int, rounds: int, budget: int, steps: int) -> list[float]:
    """Test accuracy of the task model at every round."""
    torch.manual_seed(seed)
    digits = load_digits()
    order = torch.randperm(len(digits.target))
    x, y = torch.tensor(digits.images[:, None] / 8 - 1).float()[order], torch.tensor(digits.target)[order]
    x_test, y_test, x, y = x[:500], y[:500], x[500:], y[500:]
    # Two of each class to begin with; the other labels stay hidden until they are asked for.
    labelled = torch.cat([(y == digit).nonzero().flatten()[:2] for digit in range(10)])
    accuracies = []
    for _ in range(rounds):
        hidden = torch.ones(len(y), dtype=torch.bool)
        hidden[labelled] = False
        unlabelled = hidden.nonzero().flatten()
        if strategy == "mal":
            networks = play(x, y, labelled, unlabelled, steps)
            start, picks = copy.deepcopy(networks[0]).train(), query(networks, x, unlabelled, budget)
        else:
            start, picks = encoder(), unlabelled[torch.randperm(len(unlabelled))[:budget]]
        model = train_task_model(nn.Sequential(start, nn.Linear(128, 10)), x, y, labelled, steps)
        with torch.no_grad():
            accuracies.append((model(x_test).argmax(dim=1) == y_test).double().mean().item())
        labelled = torch.cat([labelled, picks])
    return accuracies


def main() -> None:
    """Print the mean accuracies of both strategies."""
    parser = argparse.ArgumentParser(description="Minimax Active Learning beside random picks, on digits.")
    parser.add_argument("--quick", action="store_true", help="two short rounds of one seed, to see that it runs")
    seeds, rounds, budget, steps = (1, 2, 10, 5) if parser.parse_args().quick else (2, 5, 20, 100)
    print("labels  " + "".join(f"{20 + budget * done:>8}" for done in range(rounds)))  # noqa: T201
    for strategy in ("random", "mal"):
        curves = torch.tensor([run(strategy, seed, rounds, budget, steps) for seed in range(seeds)])
        print(f"{strategy:<8}" + "".join(f"{mean:>7.1%} " for mean in curves.mean(dim=0).tolist()))  # noqa: T201


if __name__ == "__main__":
    main()
