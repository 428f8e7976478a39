"""The commands of a labelling campaign."""

import sys
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from minimax_al.cli.printing import show, show_new, show_status, shown_epochs


def new(
    folder: Path,
    /,
    images: Path,
    classes: tuple[str, ...],
    task: Literal["classification", "segmentation"] = "classification",
    labels: Path | None = None,
    storage: str | None = None,
    recipe: Literal["standard", "quick"] = "standard",
    encoder: str | None = None,
    pretrained: Literal["published"] | Path | None = None,
) -> None:
    """Make a labelling campaign over a folder of images.

    Args:
        folder: for the campaign.
        images: folder of the images; nothing is written there.
        classes: names, at least two.
        task: one class an image, or one a pixel.
        labels: labels that there are already, in any format that `mal import` reads.
        storage: a PostgreSQL URL, its password in PGPASSWORD or ~/.pgpass; by default a SQLite file in the folder.
        recipe: `standard` trains at 224 or 256 pixels and wants a GPU; `quick` trains smaller images in minutes on a
            CPU.
        encoder: the network, of those that `mal names encoders` lists, or timm:NAME (extra `timm`); by default
            the recipe's.
        pretrained: weights to start from: `published` fetches those of the encoder's library now, or give a file.
    """
    from minimax_al.campaign import Campaign

    start: dict[str, Any] = {"encoder": encoder, "pretrained": True if pretrained == "published" else pretrained}
    given = {name: value for name, value in start.items() if value is not None}
    with Campaign.create(folder, images, classes, task, labels, storage=storage, recipe=recipe, **given) as campaign:
        show_new(campaign)
        show_status(campaign)


def query(folder: Path, /, budget: int, strategy: str | None = None, random_share: float = 0.0) -> None:
    """Choose the images of a campaign to label next; trains first where labels have come.

    Args:
        folder: of the campaign.
        budget: how many images.
        strategy: what chooses; by default the campaign's, BADGE under MAL's training unless set otherwise (`mal` for
            masks), and at random while there are no labels. `coverage` and `typicality` need none.
            `mal names strategies` lists the others.
        random_share: part of the budget that is drawn at random besides.
    """
    from minimax_al.campaign import Campaign
    from minimax_al.campaign.rounds.reasons import FIRST_ROUND

    with Campaign.open(folder) as campaign, shown_epochs() as shown:
        state = campaign.query(budget, strategy, random_share, *shown)
        picks = campaign.picks()
        asked = strategy or campaign.settings.strategy
    for pick in picks:
        show(pick.path)
    sys.stdout.flush()
    why = f" ({asked} chooses once images have labels; none has one yet)" if picks[0].reason == FIRST_ROUND else ""
    print(f"Round {state.number}: {state.picks} images by {state.strategy}{why}, listed above", file=sys.stderr)
    print(f"Next: mal label {quote(str(folder))}", file=sys.stderr)


def close(folder: Path, /) -> None:
    """Close a campaign's open round; its unanswered images may be picked again.

    Args:
        folder: of the campaign.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        number = campaign.round().number
        campaign.close_round(number)
    show(f"Round {number} is closed")


def import_labels(folder: Path, source: Path, /, format: str | None = None, create_classes: bool = False) -> None:
    """Take labels into a campaign, all of a file or none: CSV, Parquet, COCO, Label Studio, folders.

    Args:
        folder: of the campaign.
        source: file, folder of class folders, or folder of masks.
        format: of the source; by default told from its ending or content.
        create_classes: take unknown classes as new ones.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        done = campaign.import_labels(source, format=format, create_classes=create_classes)
    unsure = f", {done.unsure} unsure" if done.unsure else ""
    show(f"{done.added} labels added, {done.changed} changed, {done.unchanged} as they were{unsure} ({done.format})")
    if done.new_classes:
        show(f"New classes: {', '.join(done.new_classes)}")


def train(folder: Path, /, strategy: str | None = None) -> None:
    """Train on a campaign's labels, all but the held-out ones; goes on where it was.

    Args:
        folder: of the campaign.
        strategy: whose training; by default the campaign's.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        with shown_epochs() as shown:
            campaign.train(strategy, *shown)
        show_status(campaign)


def status(folder: Path, /) -> None:
    """Show where a campaign stands, and whether more labels are worth it.

    Args:
        folder: of the campaign.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        campaign.refresh()
        show_status(campaign)


def report(folder: Path, /, out: Path | None = None) -> None:
    """Write a campaign's page: curve, class balance, picks, advice.

    Args:
        folder: of the campaign.
        out: the file; by default report.html in the campaign's folder.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        show(f"Report: {campaign.report(out)}")


def export(folder: Path, out: Path, /, format: str | None = None) -> None:
    """Write a campaign's labels: csv, parquet, imagefolder, coco, label-studio, masks.

    Args:
        folder: of the campaign.
        out: file or folder to write.
        format: of the export; by default csv, and masks for masks.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        usual = "masks" if campaign.settings.task == "segmentation" else "csv"
        show(f"{campaign.export(format or usual, out)} labels are in {out}")


def predict(folder: Path, /, images: Path, out: Path = Path("predictions.csv")) -> None:
    """Say what a campaign's model takes the images of a folder for.

    Args:
        folder: of the campaign.
        images: folder of images.
        out: CSV file to write; for segmentation, a folder of masks.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        predictions = campaign.predict(images)
    predictions.write(out)
    show(f"{len(predictions.images)} predictions are in {out}; {len(predictions.set_aside)} files were set aside")


def package(folder: Path, out: Path, /, onnx: bool = True) -> None:
    """Write a campaign's model to take away: weights, classes, preprocessing, ONNX, model card.

    Args:
        folder: of the campaign.
        out: new folder.
        onnx: whether to write an ONNX file, checked against the model (extra `export`).
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        show(f"The model is in {campaign.package(out, onnx=onnx)}")
