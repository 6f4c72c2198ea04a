"""How much memory and time `stma segment` will need for a clip, before it is started and without torch."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from stma.config import SegmenterConfig
from stma.estimate import ClipShape, Machine, WeightCount, estimate_memory
from stma.processor import has_fast_bf16, has_int8_products
from stma.weights_file import find_weights, read_config, stored_numbers
from stma.workload import cpu_speed, gflop_per_frame
from stma_cli.pipeline.run import frames_held
from stma_cli.segment.settings import SegmentSettings
from stma_cli.wording import counted, rough_size, rough_time

if TYPE_CHECKING:
    from stma_cli.video import VideoInfo

MODEL, CHUNK = SegmentSettings.model, SegmentSettings.chunk


@dataclass(frozen=True)
class Forecast:
    """What a run needs.

    Attributes:
        model: name or file of the weights.
        working_size: (height, width) in pixels that the model works at.
        objects: objects that are followed.
        memory: bytes of main memory at the peak, on a CPU with `--precision auto`.
        free: bytes of main memory that are free now.
        seconds_per_frame: on this CPU, as busy as it is now; None where the network is not known.
        frames: frames of the clip, None where they were not counted.
    """

    model: str
    working_size: tuple[int, int]
    objects: int
    memory: int
    free: int
    seconds_per_frame: float | None
    frames: int | None

    @property
    def seconds(self) -> float | None:
        """Seconds for the whole clip."""
        if self.seconds_per_frame is None or self.frames is None:
            return None
        return self.frames * self.seconds_per_frame

    @property
    def fits(self) -> bool:
        """Whether the memory that is free now is enough."""
        return self.memory <= self.free

    def line(self) -> str:
        """Return it as a sentence without a full stop."""
        height, width = self.working_size
        memory = f"about {rough_size(self.memory)} of memory ({rough_size(self.free)} are free)"
        time = ""
        if self.seconds is not None:
            time = f" and {rough_time(self.seconds)} on this CPU"
        elif self.seconds_per_frame is not None:
            time = f" and {rough_time(self.seconds_per_frame)} per frame on this CPU"
        return f"{memory}{time}, {counted(self.objects, 'object')} with {self.model} at {width}x{height}"


def forecast(
    info: "VideoInfo",
    frames: int | None,
    objects: int,
    annotated_frames: int,
    side: int | None,
) -> Forecast:
    """Estimate a run on the CPU, with the model and chunks that `stma segment` has without options.

    Args:
        info: of the video.
        frames: how many it has, None where that is not known.
        objects: objects that are followed.
        annotated_frames: frames with a mask.
        side: shorter side that the model works at, None for the video's own.

    Raises:
        WeightsError: the weights cannot be read.
    """
    import numpy as np
    import psutil

    from stma.resize import model_size

    path = find_weights(MODEL)
    config, numbers = read_config(path), stored_numbers(path)
    height, width = model_size(info.height, info.width, side)
    memory = estimate_memory(
        config,
        SegmenterConfig(chunk=CHUNK),
        ClipShape((height, width), objects, annotated_frames, (info.height, info.width), frames_held(CHUNK)),
        Machine(
            np.dtype(np.float16 if has_fast_bf16() else np.float32),  # bf16 is as long
            has_int8_products(),
        ),
        WeightCount(numbers, numbers),
    )
    gflop = gflop_per_frame(config, height, width, objects)
    return Forecast(
        model=MODEL,
        working_size=(height, width),
        objects=objects,
        memory=memory.total,
        free=int(psutil.virtual_memory().available),
        seconds_per_frame=None if gflop is None else gflop / _speed(),
        frames=frames,
    )


@cache
def _speed() -> float:
    return cpu_speed()
