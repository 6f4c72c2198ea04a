"""What `stma bench` does: one setting after the other, the results as they come."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stma.benchmark import FrameLoop, MatrixPeak, measure_model, measure_peak, profile_model, warmed_up
from stma.device import resolve_device, resolve_precision
from stma.network.model import STMA
from stma.process import prepare_process, reset_peak_resident
from stma.weights import load_model
from stma_cli.bench.settings import BenchResult, BenchRow, BenchSettings, frame_width
from stma_cli.bench.stages import Stages
from stma_cli.information import processor_name, versions
from stma_cli.segment.model_setup import identified
from stma_cli.threads import default_threads, usable_cores


def run_bench(settings: BenchSettings, say: Callable[[str], None]) -> BenchResult:
    """Measure all settings, with as many threads as `stma segment` takes.

    Args:
        settings: what to measure.
        say: takes a line about each setting before it is measured.

    Raises:
        StmaError: the device, precision or model cannot be used.
    """
    prepare_process(settings.threads or default_threads())
    device = resolve_device(settings.device)
    precisions = dict.fromkeys(resolve_precision(name, device) for name in settings.precisions)
    loaded = load_model(settings.model)
    machine = describe_machine(settings.device)  # first, so that its load is that of other programs
    peaks: dict[str, MatrixPeak] = {}
    rows = []
    for precision in precisions:
        name = precision.name
        say(f"measuring the matrix peak in {name}")
        peaks[name] = measure_peak(device, precision)
        for size in settings.sizes:
            for objects in settings.objects:
                say(f"measuring {objects} objects at {size} in {name}")
                rows.append(_measure(settings, loaded.model, size, objects, name, peaks[name]))
    model = identified(loaded.info)
    return BenchResult(machine, model, settings, peaks, tuple(rows))


def _measure(
    settings: BenchSettings, model: STMA, size: int, objects: int, precision: str, peak: MatrixPeak
) -> BenchRow:
    width = frame_width(size)
    reset_peak_resident()
    loop = FrameLoop(size, width, objects)
    segmenter = warmed_up(model, settings.of_model(size, precision), loop)
    speed = measure_model(segmenter, loop, settings.frames, settings.repeats, peak)
    pipeline = profile = None
    if settings.pipeline:
        with tempfile.TemporaryDirectory(prefix="stma-bench-") as folder:
            stages = Stages(Path(folder), loop, settings.frames, settings.repeats)
            pipeline = stages.measure(segmenter)
    if settings.profile:
        profile = tuple(profile_model(segmenter, loop, settings.frames))
    return BenchRow(
        size=size,
        width=width,
        objects=objects,
        precision=precision,
        model=speed,
        pipeline=pipeline,
        profile=profile,
    )


def describe_machine(name: str) -> dict[str, Any]:
    """Versions, processor, load and the device of this name."""
    import torch

    device = resolve_device(name)
    on_gpu = device.type == "cuda"
    return {
        **versions(),
        "processor": processor_name(),
        "cores": usable_cores(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if on_gpu else str(device),
    }
