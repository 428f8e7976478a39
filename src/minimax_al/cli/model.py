"""Commands of a trained model: train, compare, measure, predict, package."""

from pathlib import Path
from typing import Annotated

from minimax_al.cli.arguments import CampaignFolder, Destination, ImageFolder, Model, Strategy
from minimax_al.cli.printing import show, show_comparison, show_status, show_test_result
from minimax_al.cli.progress import shown_progress
from minimax_al.durable import check_file_to_write
from minimax_al.escaping import escape


def train(folder: CampaignFolder, /, strategy: Strategy = None, finetune: bool = False) -> None:
    """Train on a campaign's labels, except the held-out ones; resumes after an interruption.

    Args:
        folder: Campaign folder.
        strategy: Strategy whose training runs, a name from `mal names strategies`; without it, the campaign's.
        finetune: Also train the pretrained encoder itself, and keep the result if it is more accurate.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        with shown_progress() as (progress, on_start):
            if finetune:
                compared = campaign.finetune(progress, on_start)
            else:
                campaign.train(strategy, progress, on_start)
        if finetune:
            show_comparison(compared)
        show_status(campaign)


def compare(
    folder: CampaignFolder,
    /,
    recipes: Annotated[tuple[str, ...], "RECIPE ..."] = ("features", "finetune", "scratch-small"),
) -> None:
    """Train several recipes on the same labels, and print their accuracy on others.

    Args:
        folder: Campaign folder.
        recipes: Recipes to compare, the fastest first: `features`, `finetune`, `scratch-small`.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        with shown_progress() as (progress, _):
            compared = campaign.compare(recipes, progress)
        show_comparison(compared)


def review(folder: CampaignFolder, /, out: Annotated[Path | None, "FILE.csv"] = None) -> None:
    """List labels that look wrong: cross-validated predictions contradict them.

    Args:
        folder: Campaign folder.
        out: CSV file for all suspicious labels; without it, the first 20 are printed.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        found = campaign.review()
    show(f"{len(found.suspicions):,} of {found.examined:,} labels look wrong.")
    if out is not None:
        found.write(out)
        show(f"They are in {out}.")
        return
    for one in found.suspicions[:20]:
        show(
            f"{escape(one.path)}: labelled {escape(one.label)!r} by {escape(one.author)} ({one.probability:.0%}), "
            f"predicted {escape(one.predicted)!r} ({one.predicted_probability:.0%})"
        )


def predict(model: Model, /, images: ImageFolder, out: Destination = Path("predictions.csv")) -> None:
    """Predict the class, or the mask, of every image in a folder, manifest or URL.

    Args:
        model: Campaign folder, whose last model predicts; or a package of `mal package` or `mal bench package`, or a
            benchmark's file `round-N.model.safetensors`.
        images: Folder of images, manifest or URL.
        out: CSV file to write; for a model of masks, a folder of masks.
    """
    if model.is_file() or (model / "model.json").is_file():
        from minimax_al.deployment import load_model, predict_folder

        trained = load_model(model)
        _check_out(out, trained.task)
        predictions = predict_folder(trained, images)
    else:
        from minimax_al.campaign import Campaign

        with Campaign.open(model) as campaign:
            _check_out(out, campaign.settings.task)
            predictions = campaign.predict(images)
    predictions.write(out)
    show(f"{len(predictions.images)} predictions are in {out}; {len(predictions.set_aside)} files were set aside")


def _check_out(out: Path, task: str) -> None:
    """Refuse a file of predictions that cannot be written, before they are computed."""
    if task == "classification":
        check_file_to_write(out)


def evaluate(
    folder: CampaignFolder,
    /,
    images: Annotated[Path, "FOLDER|FILE"],
    masks: Annotated[Path | None, "FOLDER"] = None,
    out: Annotated[Path | None, "FILE.csv"] = None,
) -> None:
    """Measure a campaign's model on a test set of your own.

    Args:
        folder: Campaign folder.
        images: Test images: a folder of class folders, or a CSV or Parquet file with the columns path and label; for a
            campaign of masks, a folder of images.
        masks: Folder of the true masks, for a campaign of masks.
        out: CSV file for the predictions, wrong ones first.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        show_test_result(campaign.evaluate(images, masks, out=out))
    if out is not None:
        show(f"Predictions: {out}")


def package(folder: CampaignFolder, out: Destination, /, onnx: bool = True) -> None:
    """Package a campaign's model: weights, classes, preprocessing, ONNX, model card.

    Args:
        folder: Campaign folder.
        out: New folder to write.
        onnx: Write an ONNX file, checked against the model (extra `export`).
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        show(f"The model is in {campaign.package(out, onnx=onnx)}")
