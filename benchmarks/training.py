"""Throughput of training and scoring, beside a plain PyTorch loop and beside the bare passes, in one run.

    python benchmarks/training.py --quick
    python benchmarks/training.py --case conv4
    python benchmarks/training.py --device cuda --precision bf16 --batch 256

Training is Algorithm 1, one alternating step on a labelled and an unlabelled batch. Scoring is a query of MAL over a
pool. Four contestants do the same work on the same networks:

    bare    forward and backward passes of the three losses (scoring: the forward pass) on fixed tensors; no optimiser
    steps   the same with Adam's steps; training only
    ours    epochs of `MinimaxTraining` from images that are resident (scoring: `MAL.query`)
    plain   a DataLoader with torchvision's transforms, image by image, and a loop around the same networks

They take turns; a ratio is the median over turns of one contestant's time by the bare passes' in the same turn, so
that a change of the machine's load between turns does not count.
"""

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2
from training_stage import CASES, Stage

from minimax_al.strategies import get_strategy
from minimax_al.training import RuntimeSettings
from minimax_al.training.build import build_minimax_networks
from minimax_al.training.epochs import run_epochs

RESULTS = Path(__file__).parent / "results"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
COLUMNS = ("case", "work", "contestant", "images_per_second", "ratio", "lowest", "highest", "turns")


def losses_and_backward(
    stage: Stage, networks: dict[str, Any], batch: tuple[Tensor, Tensor, Tensor], after: Callable[..., None]
) -> None:
    """Compute the three losses of an alternating step; call `after(names)` after each backward pass."""
    x_labelled, y, x_unlabelled = batch
    encoder, classifier, discriminator = networks["encoder"], networks["classifier"], networks["discriminator"]
    with stage.runtime.autocast():
        features_labelled = encoder(x_labelled)
        loss = F.cross_entropy(classifier(features_labelled), y)
    loss.backward()
    after("encoder", "classifier")
    with stage.runtime.autocast():
        features_unlabelled = encoder(x_unlabelled)
        log_probs = F.log_softmax(classifier(features_unlabelled, reverse=True), dim=1)
        loss = stage.settings.entropy_weight * (log_probs.exp() * log_probs).sum(dim=1).mean()
    loss.backward()
    after("encoder", "classifier")
    with stage.runtime.autocast():
        logits = discriminator(features_labelled.detach()), discriminator(features_unlabelled.detach())
        loss = F.softplus(-logits[0]).mean() + F.softplus(logits[1]).mean()
    loss.backward()
    after("discriminator")


def train_bare(stage: Stage, *, with_steps: bool) -> Callable[[], None]:
    """Return a run of the passes on fixed tensors, with or without Adam's steps."""
    training, size = stage.training(), stage.case.batch
    batch = (stage.fixed(size), stage.targets[:size].to(stage.runtime.device), stage.fixed(size))

    def after(*names: str) -> None:
        for name in names if with_steps else ():
            training.optimizers[name].step()
        for optimizer in training.optimizers.values():
            optimizer.zero_grad()

    def turn() -> None:
        for network in training.networks.values():
            network.train()
        for _ in range(stage.case.steps):
            losses_and_backward(stage, training.networks, batch, after)

    return turn


def train_ours(stage: Stage) -> Callable[[], None]:
    """One epoch through `run_epochs`, from resident images."""
    training, case = stage.training(), stage.case
    turns = iter(range(1 << 30))

    def turn() -> None:
        epoch = next(turns)

        def batches(_: int) -> Iterator[tuple[Tensor, ...]]:
            labelled = stage.round.labelled_batches("minimax", case.batch, epoch, case.steps)
            unlabelled = stage.round.unlabelled_batches("minimax", case.batch, epoch, case.steps)
            return ((x, y, u) for (x, y), u in zip(labelled, unlabelled, strict=True))

        device = stage.runtime.device
        run_epochs("minimax", training, stage.settings, batches, steps=case.steps, seed=0, device=device)

    return turn


def train_plain(stage: Stage) -> Callable[[], None]:
    """Return a plain training loop: a DataLoader per kind of image, and torch's default Adam."""
    case, device = stage.case, stage.runtime.device
    names = ("encoder", "classifier", "discriminator")
    networks = {
        name: network.to(device, stage.runtime.dtype)
        for name, network in zip(names, build_minimax_networks(stage.round, stage.settings), strict=True)
        if network is not None
    }
    optimizers = {
        name: torch.optim.Adam(net.parameters(), lr=stage.settings.learning_rate) for name, net in networks.items()
    }
    changes = [v2.RandomCrop(case.side, padding=4), v2.RandomHorizontalFlip()]
    labelled = stage.loader(range(2 * case.batch), case.batch, changes, shuffle=True)
    unlabelled = stage.loader(range(2 * case.batch, len(stage.pixels)), case.batch, changes, shuffle=True)
    # Endless, so that starting workers is no part of a turn.
    pairs = zip(chain.from_iterable(cycle([labelled])), chain.from_iterable(cycle([unlabelled])), strict=False)

    def after(*stepping: str) -> None:
        for name in stepping:
            optimizers[name].step()
        for optimizer in optimizers.values():
            optimizer.zero_grad()

    def turn() -> None:
        for network in networks.values():
            network.train()
        for (x, y), (u, _) in islice(pairs, case.steps):
            x_labelled, x_unlabelled = (stage.send(images) for images in (x, u))
            losses_and_backward(stage, networks, (x_labelled, y.to(device), x_unlabelled), after)

    return turn


def score_bare(stage: Stage) -> Callable[[], None]:
    """Return a run of the forward pass of F, C and D on a fixed batch, once per batch of the pool."""
    models, case = stage.models(), stage.case
    x, batches = stage.fixed(case.scoring_batch), len(stage.round.unlabelled) // case.scoring_batch

    def turn() -> None:
        with torch.inference_mode(), stage.runtime.autocast():
            for _ in range(batches):
                stage.score(models, x)

    return turn


def score_ours(stage: Stage) -> Callable[[], None]:
    """Return a query of MAL, which scores the whole pool and chooses."""
    models, strategy = stage.models(), get_strategy("mal")

    def turn() -> None:
        strategy.query(stage.round, models, stage.case.batch)

    return turn


def score_plain(stage: Stage) -> Callable[[], None]:
    """Return a plain scoring loop: a DataLoader, the same forward pass, and the collected entropies and logits."""
    models, case = stage.models(), stage.case
    loader = stage.loader(range(2 * case.batch, len(stage.pixels)), case.scoring_batch, [], shuffle=False)

    def turn() -> None:
        scores = []
        with torch.inference_mode(), stage.runtime.autocast():
            for x, _ in loader:
                logits, labelledness = stage.score(models, stage.send(x))
                log_probs = F.log_softmax(logits, dim=1)
                scores.append(torch.stack([-(log_probs.exp() * log_probs).sum(dim=1), labelledness]))
        torch.cat(scores, dim=1).cpu()

    return turn


WORKS: dict[str, dict[str, Callable[[Stage], Callable[[], None]]]] = {
    "training": {
        "bare": lambda stage: train_bare(stage, with_steps=False),
        "steps": lambda stage: train_bare(stage, with_steps=True),
        "ours": train_ours,
        "plain": train_plain,
    },
    "scoring": {"bare": score_bare, "ours": score_ours, "plain": score_plain},
}


def measure(stage: Stage, work: str, turns: int, clock: Callable[[], float]) -> list[dict[str, Any]]:
    """All contestants of one kind of work, taking turns; bare is the unit of the ratios."""
    contestants = {name: build(stage) for name, build in WORKS[work].items()}
    for turn in contestants.values():
        turn()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(turns):
        for name, turn in contestants.items():
            seconds[name].append(_timed(turn, stage.runtime.device, clock))
    case = stage.case
    images = 2 * case.batch * case.steps if work == "training" else case.pool
    rows: list[dict[str, Any]] = []
    for name, times in seconds.items():
        ratios = [time_ / bare for time_, bare in zip(times, seconds["bare"], strict=True)]
        rows.append(
            {
                "case": case.name,
                "work": work,
                "contestant": name,
                "images_per_second": images / statistics.median(times),
                "ratio": statistics.median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
                "turns": turns,
            }
        )
        _say("{case} {work} {contestant}: {images_per_second:.0f} images/s, {ratio:.3f} × bare".format(**rows[-1]))
    return rows


def _timed(turn: Callable[[], None], device: torch.device, clock: Callable[[], float]) -> float:
    _synchronise(device)
    start = clock()
    turn()
    _synchronise(device)
    return clock() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def write(rows: Sequence[dict[str, Any]], folder: Path, name: str, heading: str) -> None:
    """Write `name`.csv and `name`.md."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    table = [
        "| case | work | contestant | images/s | time ÷ bare passes (lowest … highest) |",
        "|---|---|---|---:|---:|",
    ]
    for row in rows:
        spread = f"{row['ratio']:.3f} ({row['lowest']:.2f} … {row['highest']:.2f})"
        table.append(
            f"| {row['case']} | {row['work']} | {row['contestant']} | {row['images_per_second']:.0f} | {spread} |"
        )
    (folder / f"{name}.md").write_text("\n".join([heading, "", *table, ""]))


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> None:
    """Read the arguments, run, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small case, in seconds")
    parser.add_argument("--case", action="append", choices=CASES, help="one of the cases; may be repeated")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda", "mps"])
    parser.add_argument("--precision", default="fp32", choices=["auto", "bf16", "fp32"])
    parser.add_argument("--compile", default="off", choices=["auto", "off"], help="for all contestants but plain")
    parser.add_argument("--batch", type=int, help="another batch size for the chosen cases")
    parser.add_argument("--turns", type=int, default=9, help="turns of every contestant")
    parser.add_argument(
        "--clock", default="wall", choices=CLOCKS, help="cpu counts this process alone, on a machine that others share"
    )
    parser.add_argument("--workers", type=int, default=0, help="of the plain loop's DataLoader")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--name", default="training", help="name of the two files there")
    arguments = parser.parse_args()
    names = arguments.case or (["quick"] if arguments.quick else ["conv4", "resnet18"])
    cases = [CASES[name] for name in names]
    if arguments.batch:
        cases = [replace(case, batch=arguments.batch) for case in cases]
    settings = RuntimeSettings(device=arguments.device, precision=arguments.precision, compile=arguments.compile)
    before = machine(["minimax-al", "torch", "torchvision"], arguments.device)
    rows = [
        row
        for case in cases
        for stage in [Stage(case, settings, arguments.workers)]
        for work in WORKS
        for row in measure(stage, work, arguments.turns, CLOCKS[arguments.clock])
    ]
    how = f"{arguments.precision}, {arguments.clock} clock, {arguments.workers} workers of the plain loop's DataLoader"
    write(rows, arguments.out, arguments.name, f"{before}; {how}")
    _say(f"written to {arguments.out / arguments.name}.md and .csv")


if __name__ == "__main__":
    main()
