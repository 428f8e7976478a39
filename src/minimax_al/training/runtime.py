"""Where and how numbers are computed: device, precision, ranks. The only importer of Lightning Fabric."""

import logging
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Literal, TypeVar

import torch
from lightning_fabric import Fabric
from pydantic import BaseModel, ConfigDict, PositiveInt
from torch import Tensor, nn

from minimax_al.errors import ConfigurationError

Precision = Literal["auto", "bf16", "fp32", "fp64"]
FABRIC_PRECISION = {"bf16": "bf16-mixed", "fp32": "32-true", "fp64": "64-true"}
ModuleT = TypeVar("ModuleT", bound=nn.Module)

# Fabric announces its precision plug-in on every construction; the resolved runtime is recorded beside results.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


class RuntimeSettings(BaseModel):
    """Device and precision.

    Attributes:
        device: `auto` takes an accelerator where there is one; otherwise `cpu`, `cuda` or `mps`.
        precision: `auto` is bf16 autocast where the hardware has bf16 units, else fp32; `fp64` is for tests.
        threads: of the CPU that one process uses; None leaves torch's setting. Sums depend on it in the last bit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Precision = "auto"
    threads: PositiveInt | None = None


class Runtime:
    """A device and a precision, ready to place networks and pictures.

    Raises:
        ConfigurationError: the device is not on this machine.

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

    @cached_property
    def fabric(self) -> Fabric:
        """The Fabric behind this runtime, made when it is first used."""
        return Fabric(
            accelerator=self.device.type,
            devices=1,
            precision=FABRIC_PRECISION[self.precision],  # type: ignore[arg-type]
        )

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of pictures and parameters: float64 under `fp64`, else float32."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    def place(self, module: ModuleT) -> ModuleT:
        """Move a network to the device, in this runtime's dtype and with channels last."""
        return module.to(self.device, self.dtype).to(memory_format=torch.channels_last)

    def place_pictures(self, pictures: Tensor) -> Tensor:
        """Move normalised pictures (B, 3, H, W) to the device, in this runtime's dtype, channels last."""
        return pictures.to(self.device, self.dtype, memory_format=torch.channels_last)

    def autocast(self) -> AbstractContextManager[None]:
        """The precision in which forward passes run."""
        context: AbstractContextManager[None] = self.fabric.autocast()
        return context

    def backward(self, loss: Tensor) -> None:
        """Back-propagate one loss."""
        self.fabric.backward(loss)


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
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and cpu_has_bf16_units() else "fp32"


def cpu_has_bf16_units() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX-512 BF16 or AMX)."""
    # Torch has no public name for these yet; without them a CPU counts as having no bf16 units.
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check() for check in checks if check is not None)
