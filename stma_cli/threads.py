"""How the cores of this machine are shared out, and how freed memory is kept for the next frame."""

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h in glibc
_LARGEST_MMAP_THRESHOLD = 32 << 20  # glibc accepts no more
_TRIM_THRESHOLD = 1 << 30


def usable_cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """Return `OMP_NUM_THREADS` where it is set, as everywhere with PyTorch, else all usable cores."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) > 0 else usable_cores()


def prepare_process(threads: int) -> None:
    """Let the model compute with so many threads, and OpenCV, which works beside it, with one per caller; freed memory
    is kept, see `keep_freed_memory`. Denormal numbers, which cost a CPU several times as much as others, become zero;
    threads that exist already keep theirs."""
    import cv2
    import torch

    torch.set_flush_denormal(True)
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
