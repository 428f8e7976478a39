"""Device, precision and ranks of a computation. The only module that imports Lightning Fabric."""

import atexit
import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt
from torch import Tensor, distributed, nn

from minimax_al.acquisition.bounded_products import multiplies_bfloat16
from minimax_al.errors import ConfigurationError
from minimax_al.training.runtime.batch_norm import normalise_over_ranks
from minimax_al.training.runtime.ranks import ALONE, Ranks
from minimax_al.training.runtime.slurm import check_srun, is_started_by_srun, name_tasks_per_node

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment

Precision = Literal["auto", "bf16", "fp32", "fp64"]
FABRIC_PRECISION = {"bf16": "bf16-mixed", "fp32": "32-true", "fp64": "64-true"}
ModuleT = TypeVar("ModuleT", bound=nn.Module)

# Fabric logs its precision plug-in at every construction. That is noise: the results record the resolved runtime.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


class RuntimeSettings(BaseModel):
    """Devices and precision.

    Attributes:
        device: `cpu`, `cuda`, `mps`, or `auto` for an accelerator if the machine has one, else the CPU.
        precision: `bf16`, `fp32`, `fp64` (for tests), or `auto` for bf16 autocast on hardware with bf16 units, else
            fp32.
        threads: Number of CPU threads per process; None keeps torch's setting. The last bit of sums depends on it.
        devices: Number of devices per machine that share a run; `torchrun` or SLURM starts one process for each.
        nodes: Number of machines that share a run.
        compile: `auto` compiles encoders on CUDA, where it helps; `off` never compiles.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Precision = "auto"
    threads: PositiveInt | None = None
    devices: PositiveInt = 1
    nodes: PositiveInt = 1
    compile: Literal["auto", "off"] = "auto"


class Runtime:
    """Resolved device, precision and rank of this process; places networks and images accordingly.

    Attributes:
        device: Device of this process.
        precision: Precision: bf16, fp32 or fp64.
        ranks: Rank of this process in a distributed run; see `minimax_al.training.runtime.ranks`.

    Raises:
        ConfigurationError: The device is not on this machine, or the number of processes differs from the number of
            devices.

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
            self._join_group()

    @cached_property
    def fabric(self) -> "Fabric":
        """Fabric of this runtime, imported and created at its first use: a single process needs it for bf16 alone."""
        with _without_torchmetrics():
            from lightning_fabric import Fabric  # noqa: PLC0415 - seconds
            from lightning_fabric.strategies.ddp import DDPStrategy  # noqa: PLC0415

        several = self.settings.devices * self.settings.nodes > 1
        # Ranks on GPUs exchange CPU tensors too (gathered rows are on the CPU), so they need both backends.
        backend = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
        return Fabric(
            accelerator=self.device.type,
            devices=self.settings.devices,
            num_nodes=self.settings.nodes,
            strategy=DDPStrategy(process_group_backend=backend) if several else "auto",
            precision=FABRIC_PRECISION[self.precision],  # type: ignore[arg-type]
            plugins=_cluster(self.settings.devices, several=several),
        )

    def _join_group(self) -> None:
        """Join the process group, and set this process's device and rank."""
        began_here = not distributed.is_initialized()
        self.fabric.launch()
        if began_here:
            atexit.register(_leave_group)
        self.device = self.fabric.device
        self.ranks = Ranks(self.fabric.global_rank, self.fabric.world_size)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of images and parameters: float64 for the precision `fp64`, else float32."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    def place(self, module: ModuleT) -> ModuleT:
        """Move a network to the device, in this runtime's dtype and with channels last.

        In a distributed run its batch norm is replaced by batch norm over all ranks.
        """
        if self.ranks.world_size > 1:
            normalise_over_ranks(module, self.device)
        return module.to(self.device, self.dtype).to(memory_format=torch.channels_last)

    def place_encoder(self, module: ModuleT) -> ModuleT:
        """Place an encoder, and compile it if the settings and the machine allow it.

        Only encoders are compiled, because they take most of the time.
        """
        module = self.place(module)
        if self.settings.compile == "auto" and can_compile(self.device):
            # `Module.compile` works in place: state, names and type of the network do not change.
            module.compile()
        return module

    def send(self, tensor: Tensor) -> Tensor:
        """Move a tensor to the device; a copy to CUDA uses pinned memory and is asynchronous."""
        if self.device.type == "cuda" and tensor.device.type == "cpu":
            # The pinned copy may go out of scope at once: torch reuses its memory only after the device has read it.
            return tensor.pin_memory().to(self.device, non_blocking=True)
        # On other devices an asynchronous copy could read memory that has been freed and reused.
        return tensor.to(self.device)

    def place_images(self, images: Tensor) -> Tensor:
        """Move normalised images (B, 3, H, W) to the device, in this runtime's dtype, channels last."""
        return images.to(self.device, self.dtype, memory_format=torch.channels_last)

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which forward passes run in this runtime's precision."""
        if self.precision == "fp32":
            return nullcontext()  # scores and predictions: Fabric is not needed, nor imported
        if self.precision == "fp64":
            return _float64_by_default()
        context: AbstractContextManager[None] = self.fabric.autocast()
        return context

    def descend(
        self,
        loss: Tensor,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        names: Sequence[str],
    ) -> None:
        """Run one optimizer step of some networks, and discard the gradients of the others.

        Args:
            loss: Mean loss over the whole batch, shape (), the same on every rank.
            networks: Networks of the training, by name.
            optimizers: Optimizers of the networks, by the same names.
            names: Names of the networks that take the step.
        """
        loss.backward()  # what Fabric does in these precisions, none of which scales the loss
        self.ranks.average_gradients(value for name in names for value in networks[name].parameters())
        for name in names:
            optimizers[name].step()
        for optimizer in optimizers.values():
            optimizer.zero_grad()


@contextmanager
def _float64_by_default() -> Iterator[None]:
    """Make tensors of dtype float64 inside the block where no dtype is given."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _without_torchmetrics() -> Iterator[None]:
    """Hide torchmetrics from this thread inside the block, unless it is imported already.

    Fabric imports it to compare its version, which takes 3 s where it is installed; this package does not use it.
    """
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)


class _Hidden(MetaPathFinder):
    """Finder that hides torchmetrics from the thread that created it; other threads import it meanwhile."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        """Raise the error of a missing package for torchmetrics; leave every other import to the next finder."""
        if fullname == "torchmetrics" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is not needed here", name=fullname)


def _cluster(devices: int, *, several: bool) -> "ClusterEnvironment | None":
    """Return how this process finds its ranks; None leaves it to Fabric, which recognises `torchrun`.

    Fabric takes every process in an allocation of SLURM for one of several, and none in one that is interactive.
    """
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment  # noqa: PLC0415 - seconds
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment  # noqa: PLC0415

    if not several:
        return LightningEnvironment()
    if not is_started_by_srun() or distributed.is_torchelastic_launched():
        return None
    name_tasks_per_node(devices)
    return SLURMEnvironment()


def check_processes(settings: RuntimeSettings) -> None:
    """Refuse settings whose number of devices differs from the number of started processes.

    Raises:
        ConfigurationError: The numbers differ; the sentence gives the command that starts the processes.
    """
    wanted = settings.devices * settings.nodes
    if distributed.is_torchelastic_launched():
        started = int(os.environ["WORLD_SIZE"])
        if started != wanted:
            raise ConfigurationError(
                f"torchrun started {started} processes, but devices={settings.devices} × nodes={settings.nodes} "
                f"is {wanted}: start one process per device, or set devices and nodes"
            )
    elif wanted > 1 and is_started_by_srun():
        check_srun(settings.devices, settings.nodes)
    elif wanted > 1:
        raise ConfigurationError(
            f"devices={settings.devices} × nodes={settings.nodes} needs {wanted} processes: start them with "
            f"'torchrun --nnodes {settings.nodes} --nproc-per-node {settings.devices} --no-python mal …', or srun"
        )


def can_compile(device: torch.device) -> bool:
    """Return whether torch.compile helps on this device and can run: it needs Triton and a C compiler."""
    return device.type == "cuda" and find_spec("triton") is not None and any(map(shutil.which, ("cc", "gcc", "clang")))


def _leave_group() -> None:
    """Destroy the process group at exit; without it, NCCL warns."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def resolve_device(name: str) -> torch.device:
    """Return the device that a setting denotes.

    Raises:
        ConfigurationError: The device is not on this machine.
    """
    if name == "cpu":
        return torch.device("cpu")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if present["cuda"] else "mps" if present["mps"] else "cpu")
    if not present[name]:
        here = ", ".join(device for device, is_here in present.items() if is_here)
        raise ConfigurationError(f"device {name!r} is not on this machine; present: {here}")
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> str:
    """Return the precision that a setting denotes on a device: bf16, fp32 or fp64."""
    if name != "auto":
        return name
    return "bf16" if multiplies_bfloat16(device) else "fp32"
