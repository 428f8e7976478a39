"""Losses and accuracies as they come, for the loggers of Lightning Fabric and others of their interface.

Losses of a training have the number of optimisation steps since the start of the run as their step, metrics on the test
images the number of labels.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from minimax_al.errors import MissingDependencyError, UnknownNameError

LoggerKind = Literal["csv", "tensorboard"]
"""Loggers by name."""


class Logger(Protocol):
    """Interface of Lightning Fabric's loggers, as far as it is used here."""

    def log_metrics(self, metrics: Any, step: int | None = None) -> Any:  # noqa: ANN401 - loggers differ
        """Log numbers at a step."""

    def log_hyperparams(self, params: Any) -> Any:  # noqa: ANN401
        """Log settings; may raise NotImplementedError."""

    def save(self) -> None:
        """Write the values that were logged."""

    def finalize(self, status: str) -> None:
        """End the log: "success" or "failed"."""


def build_logger(kind: str, folder: Path) -> Logger:
    """Return a logger that writes a further version into a folder.

    Args:
        kind: "csv" or "tensorboard".
        folder: Folder of one run; every start writes `version_0`, `version_1`, … in it.

    Raises:
        UnknownNameError: The kind is unknown.
        MissingDependencyError: TensorBoard is not installed.
    """
    if kind not in get_args(LoggerKind):
        raise UnknownNameError("logger", kind, get_args(LoggerKind))
    from lightning_fabric.loggers.csv_logs import CSVLogger  # noqa: PLC0415 - seconds
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger  # noqa: PLC0415

    if kind == "csv":
        return CSVLogger(folder.parent, name=folder.name)
    try:
        return TensorBoardLogger(folder.parent, name=folder.name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError("tensorboard", "tensorboard", "--logger tensorboard") from error


class RunLog:
    """Log of one run.

    Args:
        logger: Logger of Fabric's interface: `log_metrics`, `log_hyperparams`, `save`, `finalize`.
        steps: Number of optimisation steps of the run before this start.
    """

    def __init__(self, logger: Logger, steps: int = 0) -> None:
        self.logger = logger
        self.steps = steps

    def settings(self, values: Mapping[str, Any]) -> None:
        """Log the settings of the run, for loggers that have a place for them."""
        try:
            self.logger.log_hyperparams(dict(values))
        except NotImplementedError:  # Fabric's CSV logger
            return

    def epoch(self, training: str, losses: Mapping[str, float], steps: int) -> None:
        """Log the mean losses of an epoch.

        Args:
            training: Name of the training.
            losses: Mean losses by name.
            steps: Number of steps of the epoch.
        """
        self.steps += steps
        self.logger.log_metrics({f"{training}/{name}": value for name, value in losses.items()}, step=self.steps)

    def metrics(self, metrics: Mapping[str, float], labels: int) -> None:
        """Log metrics on the test images after a number of labels."""
        self.logger.log_metrics({f"test/{name}": value for name, value in metrics.items()}, step=labels)
        self.logger.save()

    def finish(self, *, success: bool) -> None:
        """End the log."""
        self.logger.finalize("success" if success else "failed")
