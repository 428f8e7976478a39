"""The family of errors that a user can cause.

Each error is one sentence with the given value, the allowed values (and the nearest match), the place, and the remedy.
The command line prints that sentence without a traceback and exits with status 2.

    MinimaxALError
    ├── ConfigurationError (ValueError)      a setting is wrong or unknown
    │   └── UnknownNameError                 a name is not registered; the sentence has the nearest one
    ├── DataError (ValueError)               images or labels cannot be used as they are
    │   ├── ManifestError                    a line of a CSV or Parquet manifest is wrong
    │   │   └── MissingColumnError           it lacks a column; the attributes are the parts of the sentence
    │   ├── UnreadableImageError             one image cannot be decoded; `reason` has the cause
    │   └── StorageError                     object storage cannot be used now; a later run continues
    ├── PoolError (ValueError)               an index is not in the pool, or is moved twice
    ├── BudgetError (ValueError)             a query of fewer than one or more than all unlabelled images
    ├── ShapeError (ValueError)              a tensor of the wrong shape or dtype
    ├── NonFiniteScoreError (ValueError)     a score is NaN or infinite; the sentence names the images
    ├── TrainingDivergedError (RuntimeError) a loss is NaN or infinite; the sentence has epoch and loss
    ├── CheckpointError (RuntimeError)       a checkpoint is damaged or belongs to something else
    ├── ResultsError (RuntimeError)          a results folder has another configuration, or is unusable
    ├── FeatureStoreError (RuntimeError)     a feature store is damaged, lacks an image, or is in use
    ├── CampaignError (RuntimeError)         a campaign cannot do this, or cannot do it now
    │   ├── AnsweredMeanwhileError           an image has another answer than the one that was corrected
    │   ├── ClassesChangedError              a class of an answer has left the campaign; the attributes are the parts
    │   └── StoreError                       its database is locked, full, damaged or unreachable
    └── MissingDependencyError (ImportError) an optional package is missing; the sentence names the extra
"""

import difflib
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


class MinimaxALError(Exception):
    """Root of the family; catching it catches everything that minimax-al raises on purpose."""


class ConfigurationError(MinimaxALError, ValueError):
    """A setting is wrong or unknown."""


class UnknownNameError(ConfigurationError):
    """A name is not registered.

    Args:
        kind: Kind of thing that was requested, in the singular ("encoder").
        name: Given name.
        known: Names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}{nearest(name, known)}")


class DataError(MinimaxALError, ValueError):
    """Images or labels cannot be used as they are."""


class ManifestError(DataError):
    """A line of a manifest is wrong; the sentence names the file and the line."""


class MissingColumnError(ManifestError):
    """A table lacks a column.

    Args:
        where: File and line of the header.
        column: Column that is missing.
        found: Columns that the table has.
        is_row: Whether the header looks like the first row.

    Attributes:
        expected: Columns that the table may have.
        header: Header to put above the first row.

    Example:
        >>> error = MissingColumnError("'a.csv', line 1", "path", ["name", "site"], is_row=False)
        >>> str(error.expecting("path or uri", "path"))
        "'a.csv', line 1: no column 'path'; expected path or uri, found name, site"
    """

    expected = "path,label[,split]"
    header = "path,label"

    def __init__(self, where: str, column: str, found: Sequence[str], is_row: bool) -> None:  # noqa: FBT001 - pickled
        super().__init__(where, column, found, is_row)
        self.where, self.column, self.found, self.is_row = where, column, tuple(found), is_row

    def expecting(self, expected: str, header: str) -> "MissingColumnError":
        """Return the error of a table that may have other columns."""
        other = MissingColumnError(self.where, self.column, self.found, self.is_row)
        other.expected, other.header = expected, header
        return other

    def __str__(self) -> str:
        """Return the sentence."""
        shown = ", ".join(self.found) if any(self.found) else "an empty file"
        hint = f": put a header {self.header} above the first row" if self.is_row else ""
        return f"{self.where}: no column {self.column!r}; expected {self.expected}, found {shown}{hint}"


class UnreadableImageError(DataError):
    """One image cannot be decoded.

    Args:
        path: Image file; None where the content came without one.
        reason: Cause in a few words, such as "it is empty (0 bytes)".

    Example:
        >>> error = UnreadableImageError("a.png", "it is empty (0 bytes)")
        >>> str(error), error.reason
        ("cannot read the image 'a.png': it is empty (0 bytes)", 'it is empty (0 bytes)')
    """

    def __init__(self, path: str | os.PathLike[str] | None, reason: str) -> None:
        # The arguments are kept as they are, so that the error can be pickled on its way out of a worker process.
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        """Return the sentence: the file, then the reason."""
        return self.reason if self.path is None else f"cannot read the image {os.fspath(self.path)!r}: {self.reason}"


class StorageError(DataError):
    """Object storage is unreachable, or refuses the credentials; nothing is lost, and a later run continues."""


class PoolError(MinimaxALError, ValueError):
    """An index is not in the pool, or is moved twice."""


class BudgetError(MinimaxALError, ValueError):
    """A query requests fewer than one image, or more than the unlabelled ones."""


class ShapeError(MinimaxALError, ValueError):
    """A tensor has the wrong shape or dtype."""


class NonFiniteScoreError(MinimaxALError, ValueError):
    """A score is NaN or infinite.

    Attributes:
        positions: Positions of the first such values in the tensor. A caller that knows the images behind the
            positions raises the error again with their names.
    """

    def __init__(self, message: str, positions: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.positions = positions


class TrainingDivergedError(MinimaxALError, RuntimeError):
    """A loss is NaN or infinite."""


class CheckpointError(MinimaxALError, RuntimeError):
    """A checkpoint is damaged, or belongs to another configuration."""


class ResultsError(MinimaxALError, RuntimeError):
    """A results folder belongs to another configuration or cannot be used."""


class FeatureStoreError(MinimaxALError, RuntimeError):
    """A feature store is damaged, lacks an image, or has another writer."""


class CampaignError(MinimaxALError, RuntimeError):
    """A campaign cannot do this (its folder or database is unusable), or cannot do it now."""


class AnsweredMeanwhileError(CampaignError):
    """An image has another answer than the one that an annotator has seen and corrects."""


class ClassesChangedError(CampaignError):
    """A class left the campaign after an annotator had chosen it.

    Args:
        class_name: Last name of the class.
        path: Path of the image whose mask has the class; None for a class label.

    Example:
        >>> str(ClassesChangedError("bird"))
        "the class 'bird' was merged or removed after it was chosen: nothing was saved"
    """

    def __init__(self, class_name: str, path: str | None = None) -> None:
        super().__init__(class_name, path)
        self.class_name, self.path = class_name, path

    def __str__(self) -> str:
        """Return the sentence."""
        chosen = "it was chosen" if self.path is None else f"the mask of {self.path!r} was drawn with it"
        return f"the class {self.class_name!r} was merged or removed after {chosen}: nothing was saved"


class StoreError(CampaignError):
    """A campaign's database is locked, full, damaged or unreachable; a retry may succeed."""


class MissingDependencyError(MinimaxALError, ImportError):
    """An optional package is not installed.

    Args:
        package: Package that cannot be imported.
        extra: Extra of minimax-al that installs it.
        purpose: Use of the package, as the subject of the sentence.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'minimax-al[{extra}]'")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name.

    It has the nearest match, then all known names.

    Example:
        >>> nearest("resnet81", ["conv4", "resnet18"])
        "; did you mean 'resnet18'? Known: conv4, resnet18"
    """
    choices = sorted(known)
    matches = difflib.get_close_matches(name, choices, n=1)
    guess = f"; did you mean {matches[0]!r}?" if matches else "."
    return f"{guess} Known: {', '.join(choices)}"


def invalid_setting(error: "ValidationError", model: "type[BaseModel]", where: str) -> ConfigurationError:
    """Return the error for the first invalid setting.

    Args:
        error: Validation error of pydantic.
        model: Validated model.
        where: File, preset or strategy that the settings came from.
    """
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] != "extra_forbidden":
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, ConfigurationError):
            return ConfigurationError(f"{where}: {cause}")
        message = first["msg"]
        if first["loc"] and str(first["loc"][-1]).startswith("literal["):
            # A setting that may be a word or a number has an error for each kind, which ends its place.
            place = first["loc"][:-1]
            key = ".".join(map(str, place))
            others = [each["msg"] for each in error.errors()[1:] if place and each["loc"][:-1] == place]
            message += "".join(f" or {other.removeprefix('Input should be ')}" for other in others)
        return ConfigurationError(f"{where}, {key or 'settings'}: {message}, but {first['input']!r} was given")
    return ConfigurationError(
        f"{where}: unknown key {key!r}{nearest(str(first['loc'][-1]), _fields_at(first['loc'], model))}"
    )


def _fields_at(location: "tuple[int | str, ...]", model: "type[BaseModel]") -> Iterable[str]:
    """Return the keys that are allowed at the location of an unknown one."""
    fields = model.model_fields
    for part in location[:-1]:
        fields = getattr(fields[str(part)].annotation, "model_fields", fields) if part in fields else fields
    return fields
