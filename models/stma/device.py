"""Choice of the computing device and of the arithmetic precision."""

from dataclasses import dataclass

import torch

from stma.errors import DeviceError, SettingsError
from stma.network import int8
from stma.processor import has_fast_bf16, has_int8_products

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
INT8 = "int8"
TORCH_FOR_CUDA = "https://pytorch.org/get-started/locally/"


@dataclass(frozen=True)
class Precision:
    """How a run computes.

    Attributes:
        name: as options spell it: fp32, bf16, fp16 or int8.
        dtype: of weights, maps and products; with int8 of all but the convolutions of whole frames.
    """

    name: str
    dtype: torch.dtype

    @property
    def int8(self) -> bool:
        """Whether convolutions of whole frames are done in 8 bits."""
        return self.name == INT8

    @property
    def arithmetic(self) -> str:
        """All that results depend on: with int8 also what the CPU at hand makes of it."""
        if not self.int8:
            return self.name
        rest = next(name for name, dtype in PRECISIONS.items() if dtype == self.dtype)
        return f"{self.name} ({int8.weight_steps()} steps and {rest})"


def resolve_device(name: str) -> torch.device:
    """Turn auto, cpu, cuda, cuda:N or mps into a device that is present.

    Raises:
        DeviceError: the device asked for is absent.
        SettingsError: the name is none of the above.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind = name.split(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise SettingsError(f"device {name!r} is unknown", "use auto, cpu, cuda, cuda:N or mps")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"device {name!r} is unknown", "use auto, cpu, cuda, cuda:N or mps") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "CUDA was asked for, but this PyTorch sees no CUDA device",
            f"install a CUDA build of torch ({TORCH_FOR_CUDA}) and a driver, or use the device cpu",
        )
    if kind == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise DeviceError(
            f"{name} does not exist: {torch.cuda.device_count()} CUDA devices are present",
            "use a lower number",
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("MPS was asked for, but this machine has none", "use the device cpu")
    return device


def has_native_bf16(device: torch.device) -> bool:
    """Whether this CUDA or ROCm device computes bf16 itself; torch also counts those that only store it."""
    if getattr(torch.version, "hip", None):
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cuda.get_device_capability(device)[0] >= 8)


def has_fast_int8() -> bool:
    """Whether this CPU multiplies 8-bit numbers faster than longer ones, and this torch can make use of it."""
    return has_int8_products() and int8.works()


def resolve_precision(name: str, device: torch.device) -> Precision:
    """Turn auto, fp32, bf16, fp16 or int8 into what to compute with; auto takes the shortest format that the device
    computes natively.

    Raises:
        SettingsError: unknown name; fp16 on a CPU, which has no fast arithmetic for it; int8 on anything else.
        DeviceError: int8 on a CPU without fast arithmetic for it.
    """
    if name == "auto":
        name = _automatic(device)
    if name == INT8:
        if device.type != "cpu":
            raise SettingsError(f"int8 is for a CPU, not for {device.type}", "use precision auto")
        if not has_fast_int8():
            raise DeviceError(
                "int8 was asked for, but this CPU has no fast products of 8-bit numbers (VNNI or AVX2), or this "
                "PyTorch does not use them",
                "use precision auto",
            )
        return Precision(name, torch.bfloat16 if has_fast_bf16() else torch.float32)
    if name not in PRECISIONS:
        raise SettingsError(f"precision {name!r} is unknown", "use auto, fp32, bf16, fp16 or int8")
    if name == "fp16" and device.type == "cpu":
        raise SettingsError("fp16 is not computed natively on a CPU", "use precision bf16 or fp32")
    return Precision(name, PRECISIONS[name])


def _automatic(device: torch.device) -> str:
    if device.type == "cuda":
        return "bf16" if has_native_bf16(device) else "fp16"
    if device.type == "cpu" and has_fast_int8():
        return INT8
    return "bf16" if device.type == "cpu" and has_fast_bf16() else "fp32"


def learning_autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Products and convolutions of a training step in this type; in place of fp16, whose range gradients leave, in
    float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)
