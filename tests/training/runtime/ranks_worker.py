"""Program of the ranks in `test_ranks.py`: `python ranks_worker.py WORLD FOLDER`; each rank is a fork of this process.

Ranks meet through a file, so that no port is fixed. Each does the same work and writes its results.
"""

import os
import sys
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch
from PIL import Image
from torch import distributed, nn

from minimax_al.acquisition import k_center_greedy_sharded
from minimax_al.data import normalise
from minimax_al.errors import BudgetError, NonFiniteScoreError, ShapeError
from minimax_al.loop import ActiveLearner
from minimax_al.networks import Preprocessing, PretrainedEncoder, build_encoder, fingerprint
from minimax_al.strategies import get_strategy
from minimax_al.testing import make_round
from minimax_al.testing.stage import LABELLED, samples_of
from minimax_al.training import EncodingSettings, Runtime, RuntimeSettings, embed_folder, evaluate, fit_minimax
from minimax_al.training.runtime.batch_norm import RankBatchNorm

# One rank alone: made before this process looks like one of torchrun's.
STAGES = {task: make_round(task) for task in ("classification", "segmentation")}


class Work:
    """Work of one rank.

    Args:
        rank: Rank of this process.
        world: Number of ranks.
        folder: Folder for checkpoints.
    """

    def __init__(self, rank, world, folder):
        self.rank, self.world, self.folder = rank, world, folder
        self.settings = RuntimeSettings(device="cpu", precision="fp64", devices=world)

    def everything(self):
        """All results by name."""
        return {
            "batch norm": self.batch_norm(),
            "alternating": self.learn("classification"),
            "joint": self.learn("classification", update="joint", detach=False),
            "supervised": self.learn("classification", entropy_weight=0.0),
            "segmentation": self.learn("segmentation"),
            "stream": self.stream(),
            "one fails": self.one_fails(),
            "k-center": self.k_center(),
            "extraction": self.extraction(),
            **{strategy: self.picks(strategy) for strategy in ("mal", "entropy", "coreset", "random")},
        }

    def extraction(self):
        """Features of images on disk, extracted twice: the second time nothing is left to compute."""
        images, out = self.folder / "images", self.folder / "features"
        if self.rank == 0:
            images.mkdir(parents=True)
            for i in range(23):
                pixels = torch.randint(0, 256, (20 + i, 30, 3), generator=torch.Generator().manual_seed(i)).byte()
                Image.fromarray(pixels.numpy()).save(images / f"{i:02d}.png")
            (images / "broken.png").write_bytes(b"not an image")
        runtime = Runtime(self.settings)
        runtime.ranks.share(None)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = build_encoder("conv4", width=4)
        encoder = PretrainedEncoder(network, Preprocessing(size=16), "made", fingerprint(network))
        settings = EncodingSettings(batch_size=4, rows_per_shard=10)
        told = []
        first = embed_folder(
            images, out, encoder, settings, runtime=runtime, progress=lambda *event: told.append(event)
        )
        again = embed_folder(images, out, encoder, settings, runtime=runtime)
        return {
            "files": {path.name: path.read_bytes().hex() for path in sorted(first.store.folder.glob("*.*"))},
            "computed": (first.computed, again.computed),
            "set aside": [tuple(each) for each in first.set_aside],
            "told": told[-1:],
        }

    def several(self, task="classification", **minimax):
        """Return the small round of the strategies' contract with a longer training, on all ranks."""
        round_ = STAGES[task]
        game = round_.recipe.minimax.model_copy(update={"epochs": 2, "steps_per_epoch": 3, "batch_size": 5, **minimax})
        # An odd batch: the ranks' parts differ in size.
        recipe = round_.recipe.model_copy(update={"minimax": game, "runtime": self.settings, "scoring_batch_size": 4})
        return replace(round_, recipe=recipe, runtime=Runtime(recipe.runtime))

    def learn(self, task, **minimax):
        """Run Algorithms 1 and 3, and evaluate on the test images."""
        round_ = self.several(task, **minimax)
        models = fit_minimax(round_)
        state = {f"{name}.{key}": v for name, net in models.networks.items() for key, v in net.state_dict().items()}
        return {"state": state, "history": dict(models.history), "metrics": evaluate(round_, models).metrics}

    def stream(self):
        """Scores of images in an order of their own, by a function that does not depend on the training."""
        round_ = self.several()
        order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
        seen = []

        def forward(x):
            seen.append(len(x))
            return {"mean": x.mean(dim=(1, 2, 3)), "pixels": x.flatten(1)}

        scores = round_.stream(forward, order, stays=["pixels"])
        few = round_.stream(
            lambda x: {"mean": x.mean(dim=(1, 2, 3)), "pixels": x.flatten(1)}, order[:2], stays=["pixels"]
        )
        return {
            "mean": scores["mean"],
            "own": scores["pixels"],
            "seen": seen,
            "few": few["mean"],
            "none": few["pixels"],
        }

    def picks(self, strategy):
        """Two rounds through the loop."""
        round_ = self.several()
        told = []
        folder = self.folder / f"checkpoints-{self.world}-{strategy}"
        learner = ActiveLearner(
            round_.dataset,
            strategy,
            round_.recipe,
            runtime=round_.runtime,
            folder=folder,
            progress=lambda *event: told.append(event[:2]),
        )
        learner.teach(list(LABELLED), round_.dataset.train_targets[list(LABELLED)])
        picked = []
        for _ in range(2):
            learner.fit()
            picked.append(learner.query(4).indices)
            learner.teach(picked[-1], round_.dataset.train_targets[picked[-1]])
        resumed = ActiveLearner(round_.dataset, strategy, round_.recipe, runtime=round_.runtime, folder=folder)
        resumed.teach(list(LABELLED), round_.dataset.train_targets[list(LABELLED)])
        resumed.fit()
        again = resumed.query(4).indices
        return {"picked": torch.stack(picked), "again": again, "told": told}

    def batch_norm(self):
        """Three steps of plain batch norm layers on a batch that the ranks hold parts of; then one in evaluation."""
        runtime = Runtime(self.settings)
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Tanh(), nn.BatchNorm2d(4, momentum=None))
        network = runtime.place(network)
        x = torch.randn(7, 3, 2, 2, dtype=torch.float64).requires_grad_()
        part = runtime.ranks.part(7)
        for _ in range(3):
            loss = runtime.ranks.mean(network(part.of(x)).cos().flatten(1).sum(dim=1))
            network.zero_grad()
            runtime.fabric.backward(loss)
        runtime.ranks.average_gradients(network.parameters())
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        kinds = {type(layer) for layer in network if hasattr(layer, "running_mean")}
        network.eval()
        return {
            "loss": loss.detach(),
            "gradients": gradients,
            "state": network.state_dict(),
            "converted": kinds == {RankBatchNorm},
            "evaluated": network(x).detach(),
        }

    def one_fails(self):
        """An image of the last rank's gets no number; the others must hear of it."""
        round_ = self.several()
        models = get_strategy("random").fit(round_)
        last = round_.unlabelled[-1]
        x = normalise(samples_of(round_)[last][None], round_.dataset.mean, round_.dataset.std).double()

        def spoil(module, inputs, features):
            is_last = (inputs[0] - x).abs().flatten(1).amax(dim=1) < 1e-9
            return features.masked_fill(is_last[:, None], torch.nan)

        models.task_model.encoder.register_forward_hook(spoil)
        try:
            get_strategy("entropy").query(round_, models, 3)
        except NonFiniteScoreError as error:
            return str(error)
        return "no error"

    def k_center(self):
        """Pools of all kinds, cut among the ranks where it hurts; with `group=None` for one rank."""
        group = distributed.group.WORLD if self.world > 1 else None
        generator = torch.Generator().manual_seed(0)
        grid = torch.cartesian_prod(torch.arange(15.0), torch.arange(15.0))  # ties without end
        clustered = torch.randn(12, 8, generator=generator)[torch.randint(12, (900,), generator=generator)]
        clustered = clustered + 0.01 * torch.randn(900, 8, generator=generator)
        pools = {
            "random": (torch.randn(700, 6, generator=generator), 300, 20),
            "clustered": (clustered, 200, 5),
            "ties": (grid, 225, 3),
            "twins": (torch.randn(40, 3, generator=generator).repeat(3, 1), 120, 0),
            "far away": (1e4 + torch.randn(300, 4, generator=generator), 100, 0),
            "half": (torch.randn(200, 5, generator=generator).half(), 60, 10),
            "small": (torch.randn(1, 3, generator=generator), 1, 0),
        }
        cuts = {"random": 650, "clustered": 300, "ties": 225, "twins": 50, "far away": 0, "half": 20, "small": 1}
        found = {}
        for name, (pool, budget, labelled) in pools.items():
            centers = 2 * pool[:labelled].flip(1) if labelled else None
            part = pool if self.world == 1 else pool[: cuts[name]] if self.rank == 0 else pool[cuts[name] :]
            found[name] = k_center_greedy_sharded(part, budget, centers, group=group)
        bad = torch.full((3, 2), torch.nan if self.rank == self.world - 1 else 0.0)
        for name, given, budget, error in (
            ("non-finite", bad, 2, NonFiniteScoreError),
            ("budget", torch.zeros(3, 2), 100, BudgetError),
            ("widths", torch.zeros(3, 2 + self.rank), 2, ShapeError),
        ):
            try:
                found[name] = k_center_greedy_sharded(given, budget, group=group)
            except error as caught:
                found[name] = str(caught)
        return found


def work(rank, world, folder):
    """Do the work of one rank."""
    # What torchrun tells its processes; the ranks' meeting itself is through the file.
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "TORCHELASTIC_RUN_ID": "test"}
    meeting = f"file://{folder}/meeting"
    limit = timedelta(seconds=60)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world, timeout=limit)
    torch.save(Work(rank, world, folder).everything(), folder / f"found-{rank}.pt")
    distributed.destroy_process_group()


def main():
    world, folder = int(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    assert Runtime(RuntimeSettings(device="cpu", precision="fp64")).fabric  # its packages are imported once
    children = []
    for rank in range(world):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(rank, world, folder)
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                os._exit(status)
        children.append(child)
    sys.exit(any([os.waitpid(child, 0)[1] != 0 for child in children]))  # noqa: C419 - waits for all of them


if __name__ == "__main__":
    main()
