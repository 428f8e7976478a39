"""Where and how numbers are computed: device, precision, ranks. The only importer of Lightning Fabric."""

import atexit
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from importlib.util import find_spec
from typing import Literal, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from pydantic import BaseModel, ConfigDict, PositiveInt
from torch import Tensor, distributed, nn

from minimax_al.acquisition.bounded_products import multiplies_bfloat16
from minimax_al.errors import ConfigurationError
from minimax_al.training.batch_norm import normalise_over_ranks
from minimax_al.training.ranks import ALONE, Ranks

Precision = Literal["auto", "bf16", "fp32", "fp64"]
FABRIC_PRECISION = {"bf16": "bf16-mixed", "fp32": "32-true", "fp64": "64-true"}
ModuleT = TypeVar("ModuleT", bound=nn.Module)

# Fabric announces its precision plug-in on every construction; the resolved runtime is recorded beside results.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


class RuntimeSettings(BaseModel):
    """Devices and precision.

    Attributes:
        device: `auto` takes an accelerator where there is one; otherwise `cpu`, `cuda` or `mps`.
        precision: `auto` is bf16 autocast where the hardware has bf16 units, else fp32; `fp64` is for tests.
        threads: of the CPU that one process uses; None leaves torch's setting. Sums depend on it in the last bit.
        devices: that share a run on each machine, one process each, which `torchrun` or SLURM starts.
        nodes: machines that share a run.
        compile: `auto` compiles encoders where that helps, on CUDA; `off` never does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Precision = "auto"
    threads: PositiveInt | None = None
    devices: PositiveInt = 1
    nodes: PositiveInt = 1
    compile: Literal["auto", "off"] = "auto"


class Runtime:
    """A device and a precision, ready to place networks and images, and this process's place among the ranks.

    Attributes:
        device: of this process.
        precision: one of bf16, fp32, fp64.
        ranks: the processes that share the run; see `minimax_al.training.ranks`.

    Raises:
        ConfigurationError: the device is not on this machine, or there are not as many processes as devices.

    Example:
        >>> runtime = Runtime(RuntimeSettings(device="cpu", precision="fp32"))
        >>> runtime.device
        device(type='cpu')
    """

    def __init__(self, settings: RuntimeSettings | None = None) -> None:
        self.settings = settings or RuntimeSettings()
        if self.settings.threads:
            torch.set_num_threads(self.settings.threads)
        self.device = resolve_device(self.settings.device)
        self.precision = resolve_precision(self.settings.precision, self.device)
        self.ranks = ALONE
        check_processes(self.settings)
        if self.settings.devices * self.settings.nodes > 1:
            self._meet()

    @cached_property
    def fabric(self) -> Fabric:
        """The Fabric behind this runtime, made when it is first used."""
        several = self.settings.devices * self.settings.nodes > 1
        # What was gathered lies on the CPU, so ranks on GPUs talk about both.
        backend = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
        return Fabric(
            accelerator=self.device.type,
            devices=self.settings.devices,
            num_nodes=self.settings.nodes,
            strategy=DDPStrategy(process_group_backend=backend) if several else "auto",
            precision=FABRIC_PRECISION[self.precision],  # type: ignore[arg-type]
        )

    def _meet(self) -> None:
        """Find the other ranks, and this one's device."""
        began_here = not distributed.is_initialized()
        self.fabric.launch()
        if began_here:
            atexit.register(_part)
        self.device = self.fabric.device
        self.ranks = Ranks(self.fabric.global_rank, self.fabric.world_size)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of images and parameters: float64 under `fp64`, else float32."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    def place(self, module: ModuleT) -> ModuleT:
        """Move a network to the device, in this runtime's dtype and with channels last.

        Where several ranks share the run its batch norm is over all of them from now on.
        """
        if self.ranks.world_size > 1:
            normalise_over_ranks(module, self.device)
        return module.to(self.device, self.dtype).to(memory_format=torch.channels_last)

    def place_encoder(self, module: ModuleT) -> ModuleT:
        """`place` a network that takes most of the time, and compile it where the settings and the machine allow it."""
        module = self.place(module)
        if self.settings.compile == "auto" and can_compile(self.device):
            # In place: state, names and type of the network stay as they are.
            module.compile()
        return module

    def send(self, tensor: Tensor) -> Tensor:
        """Move a tensor to the device; to CUDA through pinned memory and without waiting for it."""
        if self.device.type == "cuda" and tensor.device.type == "cpu":
            # The pinned copy may go at once: torch gives its memory to nobody before the device has read it.
            return tensor.pin_memory().to(self.device, non_blocking=True)
        # Elsewhere a copy that is not waited for may read memory that is given to somebody else by then.
        return tensor.to(self.device)

    def place_images(self, images: Tensor) -> Tensor:
        """Move normalised images (B, 3, H, W) to the device, in this runtime's dtype, channels last."""
        return images.to(self.device, self.dtype, memory_format=torch.channels_last)

    def autocast(self) -> AbstractContextManager[None]:
        """The precision in which forward passes run."""
        context: AbstractContextManager[None] = self.fabric.autocast()
        return context

    def descend(
        self,
        loss: Tensor,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        names: Sequence[str],
    ) -> None:
        """One step of some networks of a training on a loss; what reaches the others is forgotten.

        Args:
            loss: the mean over the whole batch, known to every rank.
            networks: of the training, by name.
            optimizers: theirs, by the same names.
            names: of those that step.
        """
        self.fabric.backward(loss)
        self.ranks.average_gradients(value for name in names for value in networks[name].parameters())
        for name in names:
            optimizers[name].step()
        for optimizer in optimizers.values():
            optimizer.zero_grad()


def check_processes(settings: RuntimeSettings) -> None:
    """Refuse settings that do not name as many devices as there are processes.

    Raises:
        ConfigurationError: says how to start them.
    """
    wanted = settings.devices * settings.nodes
    if distributed.is_torchelastic_launched():
        started = int(os.environ["WORLD_SIZE"])
        if started != wanted:
            raise ConfigurationError(
                f"torchrun started {started} processes, but devices={settings.devices} × nodes={settings.nodes} "
                f"is {wanted}: start one process a device, or set devices and nodes"
            )
    elif wanted > 1 and "SLURM_PROCID" not in os.environ:
        raise ConfigurationError(
            f"devices={settings.devices} × nodes={settings.nodes} needs {wanted} processes: start them with "
            f"'torchrun --nnodes {settings.nodes} --nproc-per-node {settings.devices} --no-python mal …', or srun"
        )


def can_compile(device: torch.device) -> bool:
    """Whether torch.compile helps on this device and finds what it needs: Triton and a C compiler."""
    return device.type == "cuda" and find_spec("triton") is not None and any(map(shutil.which, ("cc", "gcc", "clang")))


def _part() -> None:
    """End the meeting of the ranks, as NCCL wants to be told."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def resolve_device(name: str) -> torch.device:
    """The device that a setting stands for.

    Raises:
        ConfigurationError: it is not on this machine.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if present["cuda"] else "mps" if present["mps"] else "cpu")
    if not present[name]:
        here = ", ".join(device for device, is_here in present.items() if is_here)
        raise ConfigurationError(f"device {name!r} is not on this machine; present: {here}")
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> str:
    """The precision that a setting stands for on a device: one of bf16, fp32, fp64."""
    if name != "auto":
        return name
    return "bf16" if multiplies_bfloat16(device) else "fp32"
