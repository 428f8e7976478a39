"""Commands of a labelling campaign: make one, open and close rounds, change settings, show the status."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Literal

from minimax_al.cli.arguments import CampaignFolder, Count, ImageFolder, Share, Strategy
from minimax_al.cli.printing import show, show_files, show_new, show_round, show_some, show_status
from minimax_al.cli.progress import shown_progress
from minimax_al.errors import ConfigurationError, DataError, StorageError
from minimax_al.escaping import escape


def new(
    folder: CampaignFolder,
    /,
    images: ImageFolder,
    classes: Annotated[tuple[str, ...], "CLASS ..."] = (),
    task: Literal["classification", "segmentation"] = "classification",
    labels: Annotated[Path | None, "SOURCE"] = None,
    storage: Annotated[str | None, "URL"] = None,
    recipe: Annotated[Literal["features", "finetune", "scratch", "scratch-small"] | None, "RECIPE"] = None,
    encoder: Annotated[str | None, "ENCODER"] = None,
    weights: Annotated[Literal["published"] | Path | None, "published|FILE"] = None,
    features: Annotated[Path | None, "FILE"] = None,
    from_scratch: bool = False,
    strategy: Strategy = None,
    near_duplicates: Annotated[Literal["off"] | int | None, "off|BITS"] = None,
) -> None:
    """Make a labelling campaign over images in a folder, a manifest or object storage.

    Args:
        folder: Campaign folder to make.
        images: Folder of images, where nothing is written; or a manifest, a CSV or Parquet file with a column `path` or
            `uri` and any others; or a URL of object storage such as s3://BUCKET/FOLDER (extra `remote`), with its
            credentials in the environment.
        classes: Class names, at least two, in order; without them, those that the labels name, such as class folders.
        task: Kind of label: one class per image, or one class per pixel (masks).
        labels: Labels to import at once, in any format that `mal import` reads.
        storage: URL of a PostgreSQL database, with its password in PGPASSWORD or ~/.pgpass; without it, a SQLite file
            in the campaign folder.
        recipe: Training recipe: `features` learns on the features of a pretrained encoder, in seconds per round;
            `finetune` trains the pretrained encoder itself; `scratch` trains a network from random weights and needs a
            GPU; `scratch-small` trains a smaller one in minutes on a CPU. Without it, `features` for classes, and for
            masks `scratch`.
        encoder: Network, a name from `mal names encoders` or timm:NAME (extra `timm`); without it, the best pretrained
            encoder that is available, or the recipe's.
        weights: Weights of the encoder: `published` downloads them where this machine does not have them, FILE
            is read.
        features: Features that another program has computed: a .npy, .parquet or .safetensors file with the images'
            paths, used instead of an encoder.
        from_scratch: Train from random weights: short for the recipe `scratch-small`, or `scratch` with a GPU.
        strategy: Strategy that chooses and trains, a name from `mal names strategies`, with settings in parentheses as
            in 'mal(rule=filter)'; without it, the recipe's.
        near_duplicates: Similarity at which two images count as one: `off` for copies of a file only, or at most BITS
            of 128 in which their hashes differ, with equal pixels; without it, 4.
    """
    from minimax_al.campaign import Campaign

    _check_start(weights, features, recipe, from_scratch=from_scratch)
    if from_scratch:
        import torch

        recipe = "scratch" if torch.cuda.is_available() else "scratch-small"
    start: dict[str, Any] = {"encoder": encoder, "pretrained": True if weights == "published" else weights}
    start |= {"features": features, "recipe": recipe, "strategy": strategy, "near_duplicates": near_duplicates}
    given = {name: value for name, value in start.items() if value is not None}
    with Campaign.create(folder, images, classes or None, task, labels, storage=storage, **given) as campaign:
        show_new(campaign)
        show_status(campaign)


def _check_start(weights: Path | str | None, features: Path | None, recipe: str | None, *, from_scratch: bool) -> None:
    """Refuse flags that contradict one another, and files that do not exist, in the words of the command line."""
    if from_scratch:
        others = {"--recipe": recipe, "--weights": weights, "--features": features}
        other = next((f"{flag} {str(value)!r}" for flag, value in others.items() if value is not None), None)
        if other is not None:
            raise ConfigurationError(f"--from-scratch and {other} contradict each other: leave one of them out")
    for flag, file in (("--weights", weights), ("--features", features)):
        if isinstance(file, Path) and not file.is_file():
            kind = "an encoder's weights, or published" if flag == "--weights" else "feature vectors"
            raise ConfigurationError(f"{flag} {str(file)!r} does not exist: give a file of {kind}")


def query(
    folder: CampaignFolder,
    /,
    budget: Count,
    strategy: Strategy = None,
    random_share: Share = 0.0,
    where: Annotated[str | None, "FILTER"] = None,
) -> None:
    """Choose the images to label next; trains first if there are new labels.

    Args:
        folder: Campaign folder.
        budget: Number of images to choose.
        strategy: Strategy that chooses, a name from `mal names strategies`; without it, the campaign's. Before the
            first label `centroids`, `coverage` and `typicality` choose by the images, and others draw at random.
        random_share: Share of the budget that is drawn at random, from 0 to 1.
        where: Filter on further columns of the manifest, as in 'site = A and year >= 2020'; without it, all images.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign, shown_progress() as (progress, on_start):
        campaign.query(budget, strategy, random_share, progress, on_start, where=where)
        show_round(campaign, strategy or campaign.settings.strategy)


def picks(
    folder: CampaignFolder,
    /,
    out: Annotated[Path | None, "FOLDER|FILE.csv"] = None,
    round: Annotated[int | None, "N"] = None,
) -> None:
    """List the images of a round, or export them with reasons.

    Args:
        folder: Campaign folder.
        out: Folder for copies of the images, or CSV file for their paths, reasons and suggestions; without it, the
            paths are printed.
        round: Number of the round; without it, the latest.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        if out is None:
            for pick in campaign.picks(campaign.round(round).number):
                show(escape(pick.path))
            return
        written, missing = campaign.export_picks(out, round)
    show(f"{written:,} images are in {out}")
    show_some("file is gone", list(missing), "the table lists all")


def close(folder: CampaignFolder, /) -> None:
    """Close the open round; its unanswered images may be chosen again.

    Args:
        folder: Campaign folder.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        number = campaign.round().number
        campaign.close_round(number)
    show(f"Round {number} is closed.")


def configure(folder: CampaignFolder, changes: Annotated[tuple[str, ...], "[KEY=VALUE ...]"] = (), /) -> None:
    """Show a campaign's settings, or change some of them.

    Args:
        folder: Campaign folder.
        changes: Settings to change, such as validation_share=0.1, recipe=scratch-small, recipe.task.epochs=20 or
            'strategy=mal(rule=filter)'; all others keep their values.
    """
    from minimax_al.campaign import Campaign
    from minimax_al.campaign.settings.settings_text import list_settings, read_changes

    with Campaign.open(folder) as campaign:
        before = list_settings(campaign.settings)
        if not changes:
            for key, value in before:
                show(f"{key}={value}")
            return
        campaign.configure(**read_changes(changes))
        for key, value in list_settings(campaign.settings):
            if (key, value) not in before:
                show(f"{key}={value}")


def move_images(folder: CampaignFolder, images: ImageFolder, /) -> None:
    """Point a campaign to its images after they were moved; labels stay with their images.

    Args:
        folder: Campaign folder.
        images: Folder, manifest or URL that has the images now.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        show(f"Images in {images}: {campaign.move_images(images)}")
        show_status(campaign)


def status(folder: CampaignFolder, /, files: bool = False) -> None:
    """Show a campaign's progress, its model's score, and whether more labels are worth it.

    Args:
        folder: Campaign folder.
        files: List the files that are new since the last look, moved, changed, missing, set aside or duplicates, each
            with the reason.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        found = None
        try:
            found = campaign.refresh()
        except StorageError as error:
            show(str(error))
        except DataError as error:  # the rest of the status needs no images
            show(f"{error}; if they were moved: mal move-images {quote(str(folder))} FOLDER")
        if files:
            show_files(campaign, found)
        show_status(campaign)


def report(folder: CampaignFolder, /, out: Annotated[Path | None, "FILE"] = None) -> None:
    """Write a campaign's report: one HTML page with curve, classes, picks and advice.

    Args:
        folder: Campaign folder.
        out: HTML file to write; without it, report.html in the campaign folder.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        show(f"Report: {campaign.report(out)}")
