"""The commands that move labels into a campaign and out of it."""

from minimax_al.cli.arguments import CampaignFolder, Destination, Format, Source
from minimax_al.cli.printing import show


def import_labels(
    folder: CampaignFolder,
    source: Source,
    /,
    format: Format = None,
    create_classes: bool = False,
) -> None:
    """Import labels, all of a source or none: CSV, Parquet, COCO, Label Studio, folders.

    Args:
        folder: Campaign folder.
        source: Labels to import: a CSV, Parquet or JSON file, a folder of class folders, or a folder of masks.
        format: Format of the source: csv, parquet, coco, label-studio, imagefolder or masks; without it, recognised
            by the file's ending or content.
        create_classes: Add classes that the campaign does not have yet.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        done = campaign.import_labels(source, format=format, create_classes=create_classes)
    unsure = f", {done.unsure} unsure" if done.unsure else ""
    show(f"{done.added} labels added, {done.changed} changed, {done.unchanged} unchanged{unsure} ({done.format})")
    if done.new_classes:
        show(f"New classes: {', '.join(done.new_classes)}")


def export(folder: CampaignFolder, out: Destination, /, format: Format = None) -> None:
    """Export a campaign's labels.

    Args:
        folder: Campaign folder.
        out: File or folder to write.
        format: Format of the export: csv, parquet, imagefolder, coco, label-studio or masks; without it, csv, and for
            a campaign of masks, masks.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        usual = "masks" if campaign.settings.task == "segmentation" else "csv"
        show(f"{campaign.export(format or usual, out)} labels are in {out}")
