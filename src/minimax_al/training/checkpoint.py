"""Checkpoints: networks and optimisers in one safetensors file, written whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from minimax_al.durable import write_durably
from minimax_al.errors import CheckpointError


def save_checkpoint(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer] | None = None,
    state: Mapping[str, Any] | None = None,
) -> None:
    """Write networks, optimisers and a JSON-able state to one file, atomically.

    Args:
        path: File to write; its folder is made.
        networks: Networks by name.
        optimizers: Optimisers by name; their moments become tensors of the file, their settings metadata.
        state: Further values for the reader, such as the losses of finished epochs.
    """
    tensors = {
        f"network/{name}/{key}": value for name, net in networks.items() for key, value in net.state_dict().items()
    }
    groups = {}
    for name, optimizer in (optimizers or {}).items():
        saved = optimizer.state_dict()
        groups[name] = saved["param_groups"]
        for index, moments in saved["state"].items():
            tensors |= {f"optimizer/{name}/{index}/{key}": torch.as_tensor(value) for key, value in moments.items()}
    metadata = {"groups": json.dumps(groups), "state": json.dumps(dict(state or {}))}
    write_durably(path, save({key: _portable(value) for key, value in tensors.items()}, metadata))


@dataclass(frozen=True)
class Checkpoint:
    """Content of a file that `save_checkpoint` wrote.

    Attributes:
        path: File.
        tensors: Tensors of networks and optimisers, by name.
        groups: Settings of the optimisers, by name.
        state: Further values of the writer.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    groups: Mapping[str, Any]
    state: Mapping[str, Any]

    def restore(
        self, networks: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer] | None = None
    ) -> None:
        """Load the saved state into networks and optimisers of the same names and shapes.

        Raises:
            CheckpointError: The file holds other networks.
        """
        try:
            for name, network in networks.items():
                network.load_state_dict(_under(self.tensors, f"network/{name}/"))
            for name, optimizer in (optimizers or {}).items():
                moments: dict[int, dict[str, Tensor]] = {}
                for key, value in _under(self.tensors, f"optimizer/{name}/").items():
                    index, field = key.split("/", 1)
                    moments.setdefault(int(index), {})[field] = value
                optimizer.load_state_dict({"state": moments, "param_groups": self.groups[name]})
                _lay_out_like_parameters(optimizer)
        except (RuntimeError, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(f"checkpoint {str(self.path)!r} belongs to other networks: {reason}") from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file of `save_checkpoint`.

    Raises:
        CheckpointError: The file is damaged, or was not written by `save_checkpoint`.
    """
    tensors, metadata = read_tensors(path)
    try:
        return Checkpoint(path, tensors, json.loads(metadata["groups"]), json.loads(metadata["state"]))
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {str(path)!r} cannot be read ({error!r}); remove it to start afresh"
        ) from error


def read_tensors(path: Path, remedy: str = "remove it to start afresh") -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return all tensors of a safetensors file, and its metadata.

    Args:
        path: Safetensors file.
        remedy: End of the error's sentence.

    Raises:
        CheckpointError: The file is not a whole safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"checkpoint {str(path)!r} cannot be read ({error}); {remedy}") from error


def check_tensors(path: Path) -> None:
    """Check that a safetensors file exists and is whole, without reading its tensors.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt"):
            return
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"file {str(path)!r} cannot be read ({error})") from error


def _lay_out_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Set moments to the strides of their parameters: the fused Adam reads both in memory order."""
    for parameter, moments in optimizer.state.items():
        for key, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                moments[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _portable(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
