"""Which workers a batch gets on this machine."""

from collections import Counter

from stma_cli.batch.jobs import WorkerSpec
from stma_cli.threads import default_threads

CLIPS_PER_WORKER = 2  # or more, so that the last clip is not long alone on one core
WORKER_MEMORY = 2 << 30  # bytes that are free for each: twice what most clips need


def local_specs(
    devices: tuple[str, ...], workers: int | None, threads: int | None, clips: int
) -> list[WorkerSpec]:
    """Return one worker per device, or several that divide the cores.

    Args:
        devices: as --devices names them; a device may be named twice. () for all GPUs, else the CPU.
        workers: how many share the CPU, or None for as many as clips, cores and free memory allow: two threads do a
            frame less than twice as fast as one.
        threads: of each worker, or None for an equal share of the cores.
        clips: that are to be done.

    Raises:
        DeviceError: a device is missing.
        SettingsError: a device is unknown, or `workers` is given for devices that are no CPU.
    """
    from stma.device import resolve_device
    from stma.errors import SettingsError

    chosen = devices or _present()
    for device in chosen:
        resolve_device(device)
    if chosen == ("cpu",):
        count = workers or _cpu_workers(default_threads() // (threads or 1), clips)
        share = threads or max(1, default_threads() // count)
        return [WorkerSpec(f"cpu {number}", "cpu", share) for number in range(1, count + 1)]
    if workers is not None:
        raise SettingsError(
            f"--workers shares out a CPU, but the devices are {','.join(chosen)}",
            "name a device several times in --devices for several workers on it",
        )
    share = threads or max(1, default_threads() // len(chosen))
    repeated, seen = Counter(chosen), Counter[str]()
    specs = []
    for device in chosen:
        seen[device] += 1
        name = f"{device} {seen[device]}" if repeated[device] > 1 else device
        specs.append(WorkerSpec(name, device, share))
    return specs


def _cpu_workers(most: int, clips: int) -> int:
    import psutil

    fitting = int(psutil.virtual_memory().available) // WORKER_MEMORY
    return max(1, min(most, clips // CLIPS_PER_WORKER, fitting))


def _present() -> tuple[str, ...]:
    import torch

    if torch.cuda.is_available():
        return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    return ("mps",) if torch.backends.mps.is_available() else ("cpu",)
