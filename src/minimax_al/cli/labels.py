"""Commands that import, export and withdraw labels."""

from typing import Annotated

from minimax_al.cli.arguments import CampaignFolder, Destination, Format, Source
from minimax_al.cli.printing import show, show_some


def import_labels(
    folder: CampaignFolder,
    source: Source,
    /,
    format: Format = None,
    create_classes: bool = False,
    check: bool = False,
    strip_prefix: Annotated[str, "PREFIX"] = "",
) -> None:
    """Import labels from CSV, Parquet, COCO, Label Studio or folders, all of them or none.

    Args:
        folder: Campaign folder.
        source: Labels to import: a CSV, Parquet or JSON file, a folder of class folders, or a folder of masks.
        format: Format of the source: csv, parquet, coco, label-studio, imagefolder or masks; without it, recognised
            by the file's ending or content.
        create_classes: Add classes that the campaign does not have yet.
        check: Report every problem of the source and the outcome of the import, and change nothing.
        strip_prefix: Prefix of the names in the source that the campaign's paths do not have.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        done = campaign.import_labels(
            source, format=format, create_classes=create_classes, check=check, strip_prefix=strip_prefix
        )
    unsure = f", {done.unsure} unsure" if done.unsure else ""
    show(f"{done.added} labels added, {done.changed} changed, {done.unchanged} unchanged{unsure} ({done.format})")
    for note in done.notes:
        show(note)
    if done.is_check:
        show("This was a check: nothing was changed")
    if done.new_classes:
        show(f"New classes: {', '.join(done.new_classes)}")


def export(folder: CampaignFolder, out: Destination, /, format: Format = None, escape_formulas: bool = False) -> None:
    """Export a campaign's labels to a file or folder.

    Args:
        folder: Campaign folder.
        out: File or folder to write.
        format: Format of the export: csv, parquet, imagefolder, coco, label-studio or masks; without it, parquet for a
            file of that ending, else csv, and for a campaign of masks, masks.
        escape_formulas: Put an apostrophe before cells of a CSV file that Excel would run as formulas.
    """
    from minimax_al.campaign import Campaign
    from minimax_al.label_formats import usual_format

    with Campaign.open(folder) as campaign:
        chosen = format or usual_format(out, campaign.settings.task)
        done = campaign.export(chosen, out, escape_formulas=escape_formulas)
    show(f"{done.written} labels are in {out}")
    for note in done.notes:
        show(note)
    show_some("left out", list(done.left_out), "put them back and export again")


def withdraw(
    folder: CampaignFolder, images: Annotated[tuple[str, ...], "IMAGE ..."], /, author: Annotated[str, "NAME"] = "mal"
) -> None:
    """Withdraw the labels of images, of every author; the history keeps them as withdrawn.

    Args:
        folder: Campaign folder.
        images: Paths of the images, relative to the images' folder.
        author: Author of the withdrawal in the label history.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        show(f"{campaign.withdraw_labels(images, author)} labels withdrawn")
