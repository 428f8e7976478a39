"""A trained model as an ONNX file that takes 8-bit pixels, checked against the model itself."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import torch
from torch import Tensor, nn

from minimax_al.campaign.model.trained import Trained
from minimax_al.data import normalise
from minimax_al.errors import CampaignError, MissingDependencyError

INPUT, OUTPUT = "pixels", "probabilities"
TOLERANCE = 1e-3
"""Largest difference of a probability between PyTorch and ONNX Runtime."""


class _WithPreprocessing(nn.Module):
    """Pixels (B, 3, S, S) uint8 to probabilities: what is left to the user is to cut and resize the image."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.model = trained.model
        self.mean, self.std = trained.mean, trained.std

    def forward(self, pixels: Tensor) -> Tensor:
        scale = torch.tensor([1 / (255 * s) for s in self.std]).view(3, 1, 1)
        shift = torch.tensor([-m / s for m, s in zip(self.mean, self.std, strict=True)]).view(3, 1, 1)
        logits: Tensor = self.model(pixels.to(torch.float32) * scale + shift)
        return logits.softmax(dim=1)


def export_onnx(trained: Trained, path: Path, pixels: Tensor) -> float:
    """Writes the model as one ONNX file, and compares what both say of the given images.

    Args:
        trained: the model.
        path: the file.
        pixels: images as the model sees them, (B, 3, S, S) uint8, at least one.

    Returns:
        The largest difference of a probability.

    Raises:
        MissingDependencyError: the packages of the extra `export` are not installed.
        CampaignError: the model cannot be exported, or the two disagree.
    """
    _check_packages()
    module = _WithPreprocessing(trained).eval()
    batch = torch.export.Dim("batch", min=1, max=4096)
    example = pixels[:2] if len(pixels) > 1 else pixels.expand(2, -1, -1, -1)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), _quiet_logging(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own, about its internals
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
    return _checked_difference(trained, path, pixels)


def _checked_difference(trained: Trained, path: Path, pixels: Tensor) -> float:
    import onnxruntime  # noqa: PLC0415 - an optional package

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (answer,) = session.run([OUTPUT], {INPUT: pixels.numpy()})
    with torch.no_grad():
        expected = trained.model(normalise(pixels, trained.mean, trained.std)).softmax(dim=1)
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
    """Keeps the exporter's chatter out of the log."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
