"""Package of a model: weights, classes, preprocessing, ONNX, and a card with its scores."""

import json
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import select

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.package.model_card import model_card
from minimax_al.campaign.progress.evaluation_result import EvaluationResult
from minimax_al.campaign.progress.status import ModelState
from minimax_al.campaign.store.schema import items
from minimax_al.data.locations.location import is_there
from minimax_al.deployment import preprocess
from minimax_al.deployment.onnx_export import check_onnx, export_onnx
from minimax_al.durable import new_folder
from minimax_al.training.trained import Trained, save_trained

_NOTE = "model.onnx accepts uint8 and normalises itself"
_CHECKED = 16  # images on which both models are compared


def package_model(
    context: CampaignContext,
    trained: Trained,
    state: ModelState,
    out: Path,
    *,
    onnx: bool,
    test: EvaluationResult | None = None,
) -> None:
    """Write a folder with everything that the use of the model needs, without this program.

    Args:
        context: Campaign, on whose images the ONNX file is checked.
        trained: Trained model.
        state: Scores of the model and labels since, for the card.
        out: Folder to write; must be new or empty.
        onnx: Whether to write an ONNX file.
        test: Result on a test set, for the card; None without one.

    Raises:
        CampaignError: The folder exists and is not empty, or the ONNX file disagrees with the model.
        MissingDependencyError: ONNX without the extra `export`.
    """
    with new_folder(out) as part:
        save_trained(part, trained, with_encoder=True)
        _write_json(part / "classes.json", list(trained.class_names))
        _write_json(part / "preprocessing.json", preprocessing(trained))
        shutil.copyfile(str(preprocess.__file__), part / "preprocess.py")
        difference = None
        if onnx:
            export_onnx(trained, part / "model.onnx")
            difference = check_onnx(trained, part, context.images, _some_paths(context))
        (part / "README.md").write_text(model_card(trained, state, difference, test), encoding="utf-8")


def preprocessing(trained: Trained) -> dict[str, Any]:
    """Return the steps from an image file to the model's input, as `preprocess.py` applies them."""
    steps: list[dict[str, Any]] = [
        {"step": "upright", "by": "EXIF orientation"},
        {"step": "mode", "to": "RGB", "transparency": "over white"},
    ]
    normalise = {"step": "normalise", "divide_by": 255, "mean": list(trained.mean), "std": list(trained.std)}
    if trained.source is not None:
        own = trained.source.preprocessing
        steps += [
            {"step": "resize short side", "to": own.short_side, "filter": own.interpolation},
            {"step": "centre crop", "to": own.size, "corner": "rounded"},
            normalise,
        ]
        return {"steps": steps, "layout": "NCHW", "note": _NOTE}
    augmentation = trained.recipe.augmentation
    resize = {"step": "resize", "to": trained.stored_size, "filter": "bilinear, antialiased"}
    if trained.fit == "centre":
        steps += [{"step": "centre square", "side": "the short side"}, resize]
    else:
        steps.append({**resize, "proportions": "not kept: both sides become this long"})
    if augmentation.crop is not None:
        steps.append({"step": "centre crop", "to": augmentation.crop})
    if augmentation.input_size is not None:
        resize = {"step": "resize", "to": augmentation.input_size, "filter": "bilinear, antialiased"}
        steps.append({**resize, "precision": "float32"})
    steps.append(normalise)
    return {"steps": steps, "layout": "NCHW", "note": _NOTE}


def _some_paths(context: CampaignContext) -> list[str]:
    """Return the paths of some images whose files are there, always the same ones."""
    some = select(items.c.path).where(items.c.status == "active").order_by(items.c.content_hash).limit(_CHECKED)
    with context.store.reading() as connection:
        return [path for path in connection.scalars(some) if is_there(context.images / path)]


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
