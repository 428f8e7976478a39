"""ONNX file of a trained model that accepts 8-bit pixels, checked against the model itself."""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from minimax_al.data.locations.location import Location, read_bytes
from minimax_al.deployment.prediction import images_for, predict_probabilities
from minimax_al.deployment.preprocess import read_input
from minimax_al.deployment.trained import Trained
from minimax_al.errors import CampaignError, MissingDependencyError

INPUT, OUTPUT = "pixels", "probabilities"
TOLERANCE = 1e-3
"""Largest difference of a probability between PyTorch and ONNX Runtime, from the same image files."""


class _WithPreprocessing(nn.Module):
    """Module from pixels (B, 3, S, S) uint8 to probabilities: normalisation, network and softmax."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.model = trained.image_model
        self.mean, self.std = trained.mean, trained.std

    def forward(self, pixels: Tensor) -> Tensor:
        scale = torch.tensor([1 / (255 * s) for s in self.std]).view(3, 1, 1)
        shift = torch.tensor([-m / s for m, s in zip(self.mean, self.std, strict=True)]).view(3, 1, 1)
        logits: Tensor = self.model(pixels.to(torch.float32) * scale + shift)
        return logits.softmax(dim=1)


def export_onnx(trained: Trained, path: Path) -> None:
    """Write the model as one ONNX file.

    Args:
        trained: Trained model.
        path: File to write.

    Raises:
        MissingDependencyError: The packages of the extra `export` are not installed.
        CampaignError: The model cannot be exported.
    """
    _check_packages()
    module = _WithPreprocessing(trained).eval()
    batch = torch.export.Dim("batch", min=1, max=4096)
    example = torch.zeros(2, 3, trained.input_size, trained.input_size, dtype=torch.uint8)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), _quiet_logging(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        try:
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: batch},),
                verbose=False,
            )
            assert program is not None
            program.save(str(path), external_data=False)
        except Exception as error:
            raise CampaignError(f"the model cannot be exported to ONNX: {error}") from error


def check_onnx(trained: Trained, package: Path, images: Location, paths: Sequence[str]) -> float:
    """Return the largest difference of a probability between a package and the model, from the same image files.

    The package reads the files as its users do, by `preprocess.py` and `preprocessing.json`; the model as
    `predict_folder` does.

    Args:
        trained: Trained model.
        package: Folder of the package.
        images: Location of images.
        paths: Names of the images to compare.

    Raises:
        CampaignError: The two differ by more than the tolerance, or no image is left to compare them on.
    """
    import onnxruntime  # noqa: PLC0415 - an optional package

    if not paths:
        raise CampaignError(
            f"the ONNX file cannot be checked, since no image is left in {str(images)!r}: bring the images back, tell "
            "where they are with 'mal move-images', or package without ONNX"
        )
    session = onnxruntime.InferenceSession(str(package / "model.onnx"), providers=["CPUExecutionProvider"])
    inputs = [read_input(BytesIO(read_bytes(images / path)), package / "preprocessing.json") for path in paths]
    (answer,) = session.run([OUTPUT], {INPUT: np.concatenate(inputs)})
    expected = torch.cat(list(predict_probabilities(trained, images_for(trained, images, paths))))
    difference = float((torch.from_numpy(answer) - expected).abs().max())
    if not difference <= TOLERANCE:
        raise CampaignError(
            f"ONNX Runtime and PyTorch disagree by {difference:.2g} in a probability, more than {TOLERANCE}: "
            "nothing was packaged"
        )
    return difference


def _check_packages() -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingDependencyError(package, "export", "writing an ONNX file") from error


@contextmanager
def _quiet_logging() -> Iterator[None]:
    """Keep the exporter's own messages out of the log."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
