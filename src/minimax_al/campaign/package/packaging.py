"""A model to take away: weights, classes, preprocessing, ONNX, and a card that says how good it is."""

import json
from pathlib import Path
from typing import Any

import torch
from sqlalchemy import select

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.model.datasets import load_images
from minimax_al.campaign.model.trained import Trained, save_trained
from minimax_al.campaign.package.model_card import model_card
from minimax_al.campaign.package.onnx_export import export_onnx
from minimax_al.campaign.progress.status import ModelState
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.schema import items
from minimax_al.data import prepare
from minimax_al.durable import new_folder

_CHECKED = 16  # images on which the ONNX file is compared


def package_model(context: CampaignContext, trained: Trained, state: ModelState, out: Path, *, onnx: bool) -> None:
    """Writes a folder with everything that is needed to use the model without this program.

    Args:
        context: Campaign, on whose images the ONNX file is checked.
        trained: the model.
        state: how good it is, and what has come since, for the card.
        out: the folder; must be new or empty.
        onnx: whether to write an ONNX file.

    Raises:
        CampaignError: the folder is there already, or the ONNX file says something else than the model.
        MissingDependencyError: ONNX without the extra `export`.
    """
    with new_folder(out) as part:
        save_trained(part, trained)
        _write_json(part / "classes.json", list(trained.class_names))
        _write_json(part / "preprocessing.json", preprocessing(trained))
        difference = None
        if onnx:
            squares = load_images(context.images, _some_paths(context.store), trained.stored_size, trained.fit)
            (pixels,) = squares.stream([torch.arange(len(squares))])
            difference = export_onnx(trained, part / "model.onnx", prepare(pixels.cpu(), trained.recipe.augmentation))
        (part / "README.md").write_text(model_card(trained, state, difference), encoding="utf-8")


def preprocessing(trained: Trained) -> dict[str, Any]:
    """From an image file to the model's input, step by step."""
    augmentation = trained.recipe.augmentation
    steps: list[dict[str, Any]] = [
        {"step": "upright", "by": "EXIF orientation"},
        {"step": "mode", "to": "RGB", "transparency": "over white"},
    ]
    resize = {"step": "resize", "to": trained.stored_size, "filter": "bilinear, antialiased"}
    if trained.fit == "centre":
        steps += [{"step": "centre square", "side": "the short side"}, resize]
    else:
        steps.append({**resize, "proportions": "not kept: both sides become this long"})
    if augmentation.crop is not None:
        steps.append({"step": "centre crop", "to": augmentation.crop})
    if augmentation.input_size is not None:
        steps.append({"step": "resize", "to": augmentation.input_size, "filter": "bilinear, antialiased"})
    steps.append({"step": "normalise", "divide_by": 255, "mean": list(trained.mean), "std": list(trained.std)})
    return {"steps": steps, "layout": "NCHW", "note": "model.onnx takes uint8 and normalises itself"}


def _some_paths(store: Store) -> list[str]:
    some = select(items.c.path).where(items.c.status == "active").order_by(items.c.content_hash).limit(_CHECKED)
    with store.reading() as connection:
        return list(connection.scalars(some))


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
