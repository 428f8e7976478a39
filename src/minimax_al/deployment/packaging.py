"""Package of a model: a folder with weights, classes, preprocessing, ONNX, and a card with its scores."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minimax_al.data.locations.location import Location
from minimax_al.deployment import preprocess
from minimax_al.deployment.model_card import CardText, model_card
from minimax_al.deployment.model_file import save_trained
from minimax_al.deployment.onnx_export import check_onnx, export_onnx
from minimax_al.deployment.trained import Trained
from minimax_al.durable import new_folder
from minimax_al.networks import Preprocessing

_LAYOUT = {"layout": "NCHW", "note": "model.onnx accepts uint8 and normalises itself"}
_STRETCHED = "not kept: both sides become this long"
CHECKED_IMAGES = 16
"""Number of images on which the ONNX file is compared with the weights."""


def write_package(
    trained: Trained, out: Path, text: CardText, *, images: Location, paths: Sequence[str], onnx: bool = True
) -> None:
    """Write a folder with everything that the use of the model needs, without this program.

    Args:
        trained: Trained model.
        out: Folder to write; must be new or empty.
        text: Paragraphs of the card.
        images: Location of images on which the ONNX file is checked.
        paths: Paths of these images, relative to the location.
        onnx: Whether to write an ONNX file.

    Raises:
        CampaignError: The folder exists and is not empty, or the ONNX file disagrees with the model.
        CheckpointError: The model cannot read image files.
        MissingDependencyError: ONNX without the extra `export`.
    """
    trained.check_reads_images()
    with new_folder(out) as part:
        save_trained(part, trained, with_encoder=True)
        _write_json(part / "classes.json", list(trained.class_names))
        _write_json(part / "preprocessing.json", preprocessing(trained))
        shutil.copyfile(str(preprocess.__file__), part / "preprocess.py")
        difference = None
        if onnx:
            export_onnx(trained, part / "model.onnx")
            difference = check_onnx(trained, part, images, paths)
        (part / "README.md").write_text(model_card(trained, text, difference), encoding="utf-8")


def preprocessing(trained: Trained) -> dict[str, Any]:
    """Return the steps from an image file to the model's input, as `preprocess.py` applies them."""
    steps: list[dict[str, Any]] = [
        {"step": "upright", "by": "EXIF orientation"},
        {"step": "mode", "to": "RGB", "transparency": "over white; white ink over black"},
    ]
    normalise = {"step": "normalise", "divide_by": 255, "mean": list(trained.mean), "std": list(trained.std)}
    if trained.source is not None:
        return {"steps": [*steps, *_encoder_steps(trained.source.preprocessing), normalise], **_LAYOUT}
    augmentation = trained.recipe.augmentation
    resize = {"step": "resize", "to": trained.stored_size, "filter": "bilinear, antialiased"}
    if trained.fit == "centre":
        steps += [{"step": "centre square", "side": "the short side"}, resize]
    else:
        steps.append({**resize, "proportions": _STRETCHED})
    if augmentation.crop is not None:
        steps.append({"step": "centre crop", "to": augmentation.crop})
    if augmentation.input_size is not None:
        resize = {"step": "resize", "to": augmentation.input_size, "filter": "bilinear, antialiased"}
        steps.append({**resize, "precision": "float32"})
    steps.append(normalise)
    return {"steps": steps, **_LAYOUT}


def _encoder_steps(own: Preprocessing) -> list[dict[str, Any]]:
    """Return the steps from an RGB image to the square that a pretrained encoder sees."""
    if own.stretch:
        return [{"step": "resize", "to": own.size, "filter": own.interpolation, "proportions": _STRETCHED}]
    return [
        {"step": "resize short side", "to": own.short_side, "filter": own.interpolation},
        {"step": "centre crop", "to": own.size, "corner": "rounded"},
    ]


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
