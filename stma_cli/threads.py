"""How the cores of this machine are shared out."""

import os

import typer


def usable_cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """Return `OMP_NUM_THREADS` where it is set, as everywhere with PyTorch, else all usable cores."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) > 0 else usable_cores()


def at_most_usable(threads: int | None) -> int | None:
    """Return a number of threads, lowered to the usable cores with a note: more wait for each other, and take long."""
    cores = usable_cores()
    if threads is None or threads <= cores:
        return threads
    typer.echo(
        f"note: --threads {threads} is lowered to {cores}, as this process may use no more cores", err=True
    )
    return cores
