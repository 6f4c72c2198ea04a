"""Long runs: whether time per frame and memory stay the same, frame after frame."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from stma.benchmark import FrameLoop
from stma.network.model import STMA
from stma.process import prepare_process, resident
from stma.segmenter import Segmenter
from stma.weights import load_model
from stma_cli.bench.run import describe_machine
from stma_cli.bench.settings import BenchSettings, frame_width
from stma_cli.bench.stages import Stages
from stma_cli.segment.model_setup import identified
from stma_cli.threads import default_threads

WINDOW = 100  # frames per sample: whole chunks and whole intervals of memory writes
EARLY = (200, 300)  # ends of the samples around frame 200, when the memory bank has long been full
LATE = 3  # samples at the end


@dataclass(frozen=True)
class LongRun:
    """Samples of one run, one per `WINDOW` frames.

    Attributes:
        stage: "model", or "pipeline" for decoding, model, masks and overlay together.
        size: shorter side of the frames in pixels.
        objects: that were followed.
        frames: done at the end of each window.
        milliseconds: per frame, mean of each window.
        resident: bytes of resident memory at the end of each window.
    """

    stage: str
    size: int
    objects: int
    frames: tuple[int, ...]
    milliseconds: tuple[float, ...]
    resident: tuple[int, ...]

    def change(self, values: Sequence[float]) -> tuple[float, float]:
        """Mean of `milliseconds` or `resident` around frame 200, and median over the last samples."""
        early = [value for value, end in zip(values, self.frames, strict=True) if end in EARLY]
        return fmean(early), median(values[-LATE:])


@dataclass(frozen=True)
class LongResult:
    """All runs of one process; machine and model as in `BenchResult`."""

    machine: dict[str, Any]
    model: dict[str, Any]
    settings: BenchSettings
    runs: tuple[LongRun, ...]

    def plain(self) -> dict[str, Any]:
        """The content of the JSON file."""
        content = asdict(self)
        for row, run in zip(content["runs"], self.runs, strict=True):
            row["milliseconds_early_late"] = run.change(run.milliseconds)
            row["resident_early_late"] = run.change(run.resident)
        return {"format": 1, **content}


class _Samples:
    """Collects one sample per window from the end of each frame."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.milliseconds: list[float] = []
        self.resident: list[int] = []
        self._begun = time.perf_counter()
        self._done = 0

    def frame_done(self) -> None:
        """Count a frame."""
        self._done += 1
        if self._done % WINDOW == 0:
            now = time.perf_counter()
            self.frames.append(self._done)
            self.milliseconds.append(1000 * (now - self._begun) / WINDOW)
            self.resident.append(resident())
            self._begun = time.perf_counter()

    def run(self, stage: str, size: int, objects: int) -> LongRun:
        """The finished run."""
        return LongRun(
            stage, size, objects, tuple(self.frames), tuple(self.milliseconds), tuple(self.resident)
        )


def run_long(settings: BenchSettings, frames: int, say: Callable[[str], None]) -> LongResult:
    """Follow synthetic objects through `frames` frames, for every size and number of objects.

    Args:
        settings: what to measure, in one precision; `frames` and `repeats` do not matter.
        frames: of each run, `SHORTEST_RUN` or more.
        say: takes a line about each run before it begins.

    Raises:
        StmaError: the device, precision or model cannot be used.
    """
    prepare_process(settings.threads or default_threads())
    loaded = load_model(settings.model)
    machine = describe_machine(settings.device)  # first, so that its load is that of other programs
    runs = []
    for size in settings.sizes:
        for objects in settings.objects:
            for stage in ("model", "pipeline") if settings.pipeline else ("model",):
                say(f"running {frames} frames of {stage} with {objects} objects at {size}")
                runs.append(one_run(settings, loaded.model, stage, size, objects, frames))
    model = identified(loaded.info)
    return LongResult(machine, model, settings, tuple(runs))


def one_run(
    settings: BenchSettings, model: STMA, stage: str, size: int, objects: int, frames: int
) -> LongRun:
    """Run a fresh segmenter through `frames` frames of a stage, see `LongRun`."""
    loop = FrameLoop(size, frame_width(size), objects)
    segmenter = Segmenter(model, settings.of_model(size, settings.precisions[0]))
    samples = _Samples()
    if stage == "model":
        for _ in _predicted(segmenter, loop, frames):
            samples.frame_done()
        return samples.run(stage, size, objects)
    with tempfile.TemporaryDirectory(prefix="stma-bench-") as folder:
        stages = Stages(Path(folder), loop, frames, repeats=1)
        samples = _Samples()  # the clip is made
        stages.together(segmenter, {0: loop.labels[0]}, lambda frame, prediction: samples.frame_done())
    return samples.run(stage, size, objects)


def _predicted(segmenter: Segmenter, loop: FrameLoop, frames: int) -> Iterator[None]:
    """Segment so many frames in chunks; yields once per frame."""
    chunk = segmenter.config.chunk
    for first in range(0, frames, chunk):
        taken = loop.take(min(chunk, frames - first))
        segmenter.steps(taken, {0: loop.labels[0]} if first == 0 else None)
        yield from (None for _ in taken)
