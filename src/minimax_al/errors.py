"""Every error that a user can cause, as one family.

Each carries one sentence: what was given, what is allowed (and the nearest match), where, and how to mend it.
The command line prints that sentence without a traceback and exits with status 2.

    MinimaxALError
    ├── ConfigurationError (ValueError)     a setting is wrong or unknown
    │   └── UnknownNameError                a name is in no registry; says the nearest one
    ├── DataError (ValueError)              images or labels cannot be used as they are
    │   ├── ManifestError                   a line of a CSV or Parquet manifest; says file and line
    │   └── UnreadableImageError          one image cannot be decoded; says why
    ├── PoolError (ValueError)              an index is not in the pool, or is moved twice
    ├── BudgetError (ValueError)            a query of fewer than one or more than all unlabelled images
    ├── ShapeError (ValueError)             a tensor of the wrong shape or dtype
    ├── NonFiniteScoreError (ValueError)    a score is NaN or infinite; names the images
    ├── TrainingDivergedError (RuntimeError) a loss is NaN or infinite; says epoch and loss
    ├── CheckpointError (RuntimeError)      a checkpoint is damaged or belongs to something else
    ├── ResultsError (RuntimeError)         a results folder is of another configuration, or unusable
    ├── CampaignError (RuntimeError)        a campaign's folder or database cannot be used so, or not now
    │   └── StoreError                      its database is locked, full, damaged or out of reach
    └── MissingDependencyError (ImportError) an optional package is not installed; says which extra has it
"""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


class MinimaxALError(Exception):
    """Root of the family: catch this to catch everything that minimax-al raises on purpose."""


class ConfigurationError(MinimaxALError, ValueError):
    """A setting is wrong or unknown."""


class UnknownNameError(ConfigurationError):
    """A name is in no registry.

    Args:
        kind: what was asked for, in the singular ("encoder").
        name: what was given.
        known: the names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}{nearest(name, known)}")


class DataError(MinimaxALError, ValueError):
    """Images or labels cannot be used as they are."""


class ManifestError(DataError):
    """A line of a manifest is wrong; the sentence says the file and the line."""


class UnreadableImageError(DataError):
    """One image cannot be decoded."""


class PoolError(MinimaxALError, ValueError):
    """An index is not in the pool, or is moved twice."""


class BudgetError(MinimaxALError, ValueError):
    """A query asks for fewer than one image or for more than there are."""


class ShapeError(MinimaxALError, ValueError):
    """A tensor has the wrong shape or dtype."""


class NonFiniteScoreError(MinimaxALError, ValueError):
    """A score is NaN or infinite.

    Attributes:
        positions: where in the tensor the first offending values stand; callers that know the images behind
            the positions raise again with their names.
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


class CampaignError(MinimaxALError, RuntimeError):
    """A campaign cannot do this: its folder or database is unusable, or it is not the time for it."""


class StoreError(CampaignError):
    """A campaign's database is locked, full, damaged or out of reach; the same call may do well later."""


class MissingDependencyError(MinimaxALError, ImportError):
    """An optional package is not installed.

    Args:
        package: the import that failed.
        extra: the extra of minimax-al that brings it.
        purpose: what needs it, as the subject of the sentence.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'minimax-al[{extra}]'")


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest match, then all that is known.

    Example:
        >>> nearest("resnet81", ["conv4", "resnet18"])
        "; did you mean 'resnet18'? Known: conv4, resnet18"
    """
    choices = sorted(known)
    matches = difflib.get_close_matches(name, choices, n=1)
    guess = f"; did you mean {matches[0]!r}?" if matches else "."
    return f"{guess} Known: {', '.join(choices)}"


def invalid_setting(error: "ValidationError", model: "type[BaseModel]", where: str) -> ConfigurationError:
    """The sentence for the first thing that validation found wrong.

    Args:
        error: what validation raised.
        model: what was validated.
        where: the file, preset or strategy that the settings came from.
    """
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] != "extra_forbidden":
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, ConfigurationError):
            return ConfigurationError(f"{where}: {cause}")
        return ConfigurationError(f"{where}, {key or 'settings'}: {first['msg']}, but {first['input']!r} was given")
    return ConfigurationError(
        f"{where}: unknown key {key!r}{nearest(str(first['loc'][-1]), _fields_at(first['loc'], model))}"
    )


def _fields_at(location: "tuple[int | str, ...]", model: "type[BaseModel]") -> Iterable[str]:
    """The keys that are allowed where an unknown one was found."""
    fields = model.model_fields
    for part in location[:-1]:
        fields = getattr(fields[str(part)].annotation, "model_fields", fields) if part in fields else fields
    return fields
