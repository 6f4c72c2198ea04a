"""Choice of the computing device and of the arithmetic precision."""

from pathlib import Path

import torch

from stma.errors import DeviceError, SettingsError

CPU_DESCRIPTION = Path("/proc/cpuinfo")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def precision_name(dtype: torch.dtype) -> str:
    """Name of a precision as options spell it: fp32, bf16 or fp16."""
    return next(name for name, known in PRECISIONS.items() if known == dtype)


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
        raise SettingsError(f"device {name!r} is unknown; use auto, cpu, cuda, cuda:N or mps")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"device {name!r} is unknown; use auto, cpu, cuda, cuda:N or mps") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "CUDA was asked for, but this PyTorch sees no CUDA device; install a CUDA build of torch and a driver, "
            "or use --device cpu"
        )
    if kind == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise DeviceError(
            f"{name} does not exist: {torch.cuda.device_count()} CUDA devices are present; use a lower number"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("MPS was asked for, but this machine has none; use --device cpu")
    return device


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bf16 matrices faster than fp32 ones.

    Matrix units (AMX) do. So do AMD's cores with AVX512_BF16, at twice the rate of fp32 (223 against 112 GFLOP/s in a
    128-channel 3x3 convolution on one core of a Zen 4); Intel's with that extension alone are slower than in fp32.
    """
    try:
        described = CPU_DESCRIPTION.read_text()
    except OSError:
        return False
    return "amx_bf16" in described or ("AuthenticAMD" in described and "avx512_bf16" in described)


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """Turn auto, fp32, bf16 or fp16 into a dtype; auto takes a 16-bit format where the device computes it natively.

    Raises:
        SettingsError: unknown name, or fp16 on a CPU, which has no fast arithmetic for it.
    """
    if name == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.bfloat16 if device.type == "cpu" and has_fast_bf16() else torch.float32
    if name not in PRECISIONS:
        raise SettingsError(f"precision {name!r} is unknown; use auto, fp32, bf16 or fp16")
    if name == "fp16" and device.type == "cpu":
        raise SettingsError("fp16 is not computed natively on a CPU; use --precision bf16 or fp32")
    return PRECISIONS[name]
