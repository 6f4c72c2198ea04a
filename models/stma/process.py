"""What a process can do for speed before it follows objects (threads, freed memory, denormal numbers); its memory."""

import ctypes
import os
import sys
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h in glibc
_LARGEST_MMAP_THRESHOLD = 32 << 20  # glibc accepts no more
_TRIM_THRESHOLD = 1 << 30


def prepare_process(threads: int | None = None) -> None:
    """Make a process fast that follows objects on a CPU. Call it once, before anything is computed.

    The model computes with so many threads, and OpenCV, which works beside it, with one per caller; freed memory is
    kept, see `keep_freed_memory`; denormal numbers, which cost a CPU several times as much as others, become zero.
    All of it holds for the whole process, whatever else it does. Masks stay what they are.

    Args:
        threads: 1 or more, None for as many as PyTorch takes by itself.
    """
    import cv2
    import torch

    torch.set_flush_denormal(True)  # threads that exist already keep their denormals
    if threads is not None:
        torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Ask glibc to reuse large blocks instead of returning them to the system and clearing new pages each time.

    Returns:
        Whether it took effect; elsewhere than with glibc on Linux nothing happens.
    """
    if sys.platform != "linux":
        return False
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  other C libraries do not have it
        changed = library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        return bool(changed and library.mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD))
    except (OSError, AttributeError):
        return False


def reset_peak_resident() -> bool:
    """Let the peak of resident memory begin anew, where the system can; it then counts what is resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return False
    return True


def resident() -> int:
    """Resident memory of this process in bytes, now."""
    import psutil

    return int(psutil.Process(os.getpid()).memory_info().rss)


def peak_resident() -> int:
    """Largest resident memory of this process in bytes, since `reset_peak_resident` where that works."""
    try:
        status = Path("/proc/self/status").read_text("utf-8", "replace")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import psutil

        memory = psutil.Process(os.getpid()).memory_info()
        return int(getattr(memory, "peak_wset", memory.rss))


def peak_resident_ever() -> int:
    """Return the largest resident memory of this process in bytes since it began, as the system tells it."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes everywhere but on macOS
