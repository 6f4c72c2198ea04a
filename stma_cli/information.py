"""What `stma info` tells, and reports in part: versions, devices, memory, codecs, models, and what is missing."""

import platform
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from stma.errors import WeightsError
from stma.process import peak_resident_ever
from stma_cli.threads import default_threads, usable_cores

DISTRIBUTION = "stma-cli"
PACKAGES = ("torch", "numpy", "av", "opencv-python-headless", "pillow")  # those that change results
DEVELOPMENT = "dev"  # the extra that no user misses
GIBIBYTE = 1 << 30
# What people have, by the names under which FFmpeg knows them.
DECODERS = {
    "H.264": "h264",
    "HEVC": "hevc",
    "VP8": "vp8",
    "VP9": "vp9",
    "AV1": "libdav1d",
    "MPEG-2": "mpeg2video",
    "MPEG-4": "mpeg4",
    "MJPEG": "mjpeg",
    "ProRes": "prores",
    "DNxHD": "dnxhd",
    "FFV1": "ffv1",
}
ENCODERS = {
    "H.264": ("libx264", "overlay videos (.mp4)"),
    "AAC": ("aac", "sound that does not fit into .mp4 as it is"),
    "ProRes 4444": ("prores_ks", "videos with alpha (.mov)"),
    "VP9": ("libvpx-vp9", "videos with alpha (.webm)"),
}
_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9._-]+)[^;]*(?:;.*extra\s*==\s*['\"]([^'\"]+)['\"])?")


@dataclass(frozen=True)
class Fact:
    """One line of the answer.

    Attributes:
        section: "versions", "devices", "memory", "video", "models" or "extras".
        name: what it is about.
        value: what was found.
        fix: how to get what is missing, None where nothing is.
        needed: whether stma cannot do without it.
    """

    section: str
    name: str
    value: str
    fix: str | None = None
    needed: bool = False


def collect() -> list[Fact]:
    """Look at this installation and this machine; loads torch and FFmpeg, no model."""
    return [*_versions(), *_devices(), *_memory(), *_codecs(), *_models(), *_extras()]


def _versions() -> list[Fact]:
    from stma import __version__

    facts = [
        Fact("versions", "stma", f"{__version__} in {Path(__file__).resolve().parent.parent}"),
        Fact("versions", "Python", f"{platform.python_version()} in {sys.prefix}"),
        Fact("versions", "system", platform.platform()),
    ]
    for package, extra in _requirements():
        if extra is None:
            found = _version(package)
            fix = None if found else f"pip install {package}"
            facts.append(Fact("versions", package, found or "missing", fix, needed=True))
    return facts


def _devices() -> list[Fact]:
    from stma.processor import has_fast_bf16, has_int8_products

    try:
        import torch
    except ImportError as error:
        return [Fact("devices", "torch", f"cannot be loaded ({error})", "pip install torch", needed=True)]
    from stma.device import TORCH_FOR_CUDA, has_fast_int8, has_native_bf16

    bf16, eighths = ("with" if has else "without" for has in (has_fast_bf16(), has_fast_int8()))
    cores = (
        f"{usable_cores()} cores for this process, {default_threads()} threads by default, {bf16} fast bf16, "
        f"{eighths} fast 8-bit products"
    )
    newer = has_int8_products() and not has_fast_int8()
    fix = "pip install --upgrade torch: a newer torch has 8-bit products on this CPU" if newer else None
    facts = [Fact("devices", "cpu", f"{processor_name()}; {cores}", fix)]
    built = torch.version.cuda or getattr(torch.version, "hip", None)
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            size = f"{card.total_memory / GIBIBYTE:.1f} GiB"
            bf16 = "bf16" if has_native_bf16(torch.device("cuda", number)) else "fp16"
            facts.append(Fact("devices", f"cuda:{number}", f"{card.name}, {size}, {bf16}, CUDA {built}"))
    else:
        why = (
            f"torch is built for {built}, but no card or driver is found"
            if built
            else "torch is built without"
        )
        fix = f"see {TORCH_FOR_CUDA} for torch with CUDA, if there is an NVIDIA card"
        facts.append(Fact("devices", "cuda", f"none: {why}", fix))
    if torch.backends.mps.is_available():
        facts.append(Fact("devices", "mps", "Apple GPU"))
    return facts


def processor_name() -> str:
    """Return the name of the CPU, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of stma, Python, the system and the packages that change results."""
    from stma import __version__

    found = {"stma": __version__, "python": platform.python_version(), "system": platform.platform()}
    return found | {package: _version(package) or "unknown" for package in PACKAGES}


def peak_memory() -> dict[str, int]:
    """Return the largest memory this process has used, in bytes: "process", and "gpu" where CUDA is used."""
    peak = {"process": peak_resident_ever()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        peak["gpu"] = int(torch.cuda.max_memory_allocated())
    return peak


def _memory() -> list[Fact]:
    try:
        import psutil
    except ImportError:
        return []
    memory = psutil.virtual_memory()
    free, total = (f"{value / GIBIBYTE:.1f}" for value in (memory.available, memory.total))
    return [Fact("memory", "main memory", f"{free} GiB free of {total} GiB")]


def _codecs() -> list[Fact]:
    try:
        import av
    except ImportError as error:
        return [Fact("video", "FFmpeg", f"cannot be loaded ({error})", "pip install av", needed=True)]
    release = getattr(av, "ffmpeg_version_info", None) or f"libavcodec {av.library_versions['libavcodec']}"
    facts = [Fact("video", "FFmpeg", f"{release}, in PyAV {av.__version__}")]
    read = {name: _has_codec(codec, "r") for name, codec in DECODERS.items()}
    absent = [name for name, has in read.items() if not has]
    reinstall = "pip install --force-reinstall --only-binary av av"
    present = ", ".join(name for name, has in read.items() if has)
    facts.append(Fact("video", "reads", f"{present} and what else FFmpeg knows"))
    if absent:
        facts.append(Fact("video", "cannot read", ", ".join(absent), reinstall))
    for name, (codec, use) in ENCODERS.items():
        has = _has_codec(codec, "w")
        value = f"{name} ({codec}): {use}"
        title, fix = ("writes", None) if has else ("cannot write", reinstall)
        facts.append(Fact("video", title, value, fix, needed=codec == "libx264"))
    return facts


def _has_codec(name: str, mode: Any) -> bool:
    from av.codec import Codec
    from av.error import FFmpegError

    try:
        Codec(name, mode)
    except (FFmpegError, ValueError):
        return False
    return True


def _models() -> list[Fact]:
    from stma.weights_file import FOLDER, model_info, require_checksum

    facts = []
    for path in sorted(FOLDER.glob("*.safetensors")):
        try:
            info = model_info(path)
            require_checksum(info)
        except WeightsError as error:
            facts.append(Fact("models", path.stem, "damaged", str(error), needed=True))
        else:
            value = f"{info.parameters / 1e6:.1f} M numbers, sha256 {info.sha256[:12]} as it should be"
            facts.append(Fact("models", info.name, value))
    if not facts:
        fix = f"install {DISTRIBUTION} again: its weights are missing"
        facts.append(Fact("models", "shipped", "none", fix, needed=True))
    return facts


def _extras() -> list[Fact]:
    by_extra: dict[str, list[str]] = {}
    for package, extra in _requirements():
        if extra is not None and extra != DEVELOPMENT:
            by_extra.setdefault(extra, []).append(package)
    facts = []
    for extra, packages in by_extra.items():
        absent = [package for package in packages if _version(package) is None]
        value = (
            f"missing: {', '.join(absent)}" if absent else ", ".join(f"{p} {_version(p)}" for p in packages)
        )
        facts.append(
            Fact("extras", extra, value, f"pip install '{DISTRIBUTION}[{extra}]'" if absent else None)
        )
    return facts


def _requirements() -> list[tuple[str, str | None]]:
    """Return the packages that this installation declares, each with its extra."""
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return []
    matches = filter(None, map(_REQUIREMENT.match, lines))
    return [(match[1], match[2]) for match in matches]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
