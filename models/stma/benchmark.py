"""Speed of the model on synthetic frames, its arithmetic, and what the machine could do at most."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity
from torch.profiler import profile as torch_profile
from torch.utils.flop_counter import FlopCounterMode

from stma.config import SegmenterConfig
from stma.device import Precision
from stma.estimate import MemoryEstimate
from stma.network.int8 import STEPS, Int8Conv2d, quantized
from stma.network.layers import packed
from stma.network.model import STMA
from stma.process import peak_resident
from stma.segmenter import Segmenter
from stma.synthetic import SyntheticScene

PEAK_REPEATS = 7
SCENE_FRAMES = 16  # kept in memory and shown over and over, forth and back
GIGA = 1e9


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of repeated measurements."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class MatrixPeak:
    """What the machine reaches in one precision, in GFLOP per second: the best of several repeats.

    Attributes:
        matmul: product of two square matrices; with int8 not of 8-bit numbers, as in the model.
        convolution: dense 3x3 convolution, channels last.
    """

    matmul: float
    convolution: float

    @property
    def best(self) -> float:
        return max(self.matmul, self.convolution)


@dataclass(frozen=True)
class ModelSpeed:
    """One setting of the model, measured with a full memory bank.

    Attributes:
        frames_per_second: of `Segmenter.steps`, from RGB frames to label maps in main memory.
        gflop_per_frame: see `count_gflop`.
        share_of_peak: arithmetic per second over the machine's best, 0..1.
        resident_bytes: peak of the process so far, other settings measured in it before included.
        device_bytes: peak that the allocator of the GPU gave out for this setting, or None on a CPU.
        estimate: what `estimate_memory` says.
    """

    frames_per_second: Spread
    gflop_per_frame: float
    share_of_peak: float
    resident_bytes: int
    device_bytes: int | None
    estimate: MemoryEstimate


@dataclass(frozen=True)
class OperationCost:
    """An operation of the profile: milliseconds per frame by itself, calls per frame, share of all operations."""

    name: str
    milliseconds: float
    calls: float
    share: float


class FrameLoop:
    """Frames of a scene, forth and back without end: (H, W, 3) uint8 RGB each."""

    def __init__(self, height: int, width: int, objects: int) -> None:
        scene = SyntheticScene(height, width, objects)
        made = [scene.frame(index) for index in range(SCENE_FRAMES)]
        self.frames = [pixels for pixels, _ in made]
        self.labels = [labels for _, labels in made]
        self._next = 0

    def take(self, count: int) -> list[np.ndarray]:
        """The next frames."""
        last = len(self.frames) - 1
        positions = range(self._next, self._next + count)
        self._next += count
        return [self.frames[last - abs(last - position % (2 * last))] for position in positions]


def quartiles(values: Sequence[float]) -> Spread:
    """Median and quartiles, by linear interpolation."""
    lower, median, upper = np.percentile(values, [25, 50, 75])
    return Spread(float(median), float(lower), float(upper))


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@torch.inference_mode()
def measure_peak(device: torch.device, precision: Precision, side: int | None = None) -> MatrixPeak:
    """Measure dense products and 3x3 convolutions on this machine.

    Args:
        device: that computes.
        precision: of all operands.
        side: rows of the square matrices; by default as many as fill the device.
    """
    side = side or (8192 if device.type == "cuda" else 1024)
    dtype = precision.dtype
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    channels, map_side = (256, side // 64) if device.type == "cuda" else (128, side // 16)
    batch = 32 if device.type == "cuda" else 1
    maps = packed(torch.rand(batch, channels, map_side, map_side, device=device).to(dtype))
    plain = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    layer = Int8Conv2d(plain, 1 / STEPS, dtype=dtype) if precision.int8 else plain
    if precision.int8:
        maps = quantized(maps, 1 / STEPS)
    layer.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def convolution() -> Tensor:
        result: Tensor = layer(maps)
        return result

    return MatrixPeak(
        matmul=2 * side**3 / _fastest(lambda: left @ right, device) / GIGA,
        convolution=2 * 9 * maps.numel() * channels / _fastest(convolution, device) / GIGA,
    )


def _fastest(operation: Callable[[], Tensor], device: torch.device) -> float:
    seconds = []
    for _ in range(PEAK_REPEATS + 1):  # the first one warms up
        synchronise(device)
        begun = time.perf_counter()
        operation()
        synchronise(device)
        seconds.append(time.perf_counter() - begun)
    return min(seconds[1:])


def _attention_flop(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], *rest: Any, **named: Any
) -> int:
    """Two products per head: queries by keys, and weights by values."""
    batch, heads, rows, width = query
    return 2 * batch * heads * rows * key[2] * (width + value[3])


def _int8_flop(
    maps: Sequence[int], step: float, zero: int, weight: Sequence[int], *rest: Any, **named: Any
) -> int:
    """A product for each weight of a channel and each number that comes out."""
    result: int = 2 * math.prod(weight[1:]) * math.prod(named["out_shape"])
    return result


def count_gflop(segmenter: Segmenter, frames: Sequence[np.ndarray]) -> float:
    """Arithmetic per frame in GFLOP: matrix products, convolutions and attention, a multiply-add as two.

    Elementwise work (exponentials, activations, norms), pooling, interpolation, casts and copies are not counted,
    nor anything outside of torch. Give frames of a whole memory interval for a true average.
    """
    mapping: dict[Any, Callable[..., int]] = {}
    if hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"):
        mapping[torch.ops.aten._scaled_dot_product_flash_attention_for_cpu] = _attention_flop
    if segmenter.precision.int8:
        mapping[torch.ops.onednn.qconv_pointwise] = mapping[torch.ops.onednn.qconv2d_pointwise] = _int8_flop
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        for frame in frames:
            segmenter.step(frame)
    return float(counter.get_total_flops()) / len(frames) / GIGA


def warmed_up(model: STMA, config: SegmenterConfig, loop: FrameLoop) -> Segmenter:
    """A segmenter that follows the objects of the loop, with a full memory bank."""
    segmenter = Segmenter(model, config)
    if segmenter.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(segmenter.device)
    segmenter.step(loop.take(1)[0], loop.labels[0])
    for _ in range(-(-config.memory.interval * config.memory.capacity // config.chunk) + 1):
        segmenter.steps(loop.take(config.chunk))
    return segmenter


def measure_model(
    segmenter: Segmenter, loop: FrameLoop, frames: int, repeats: int, peak: MatrixPeak
) -> ModelSpeed:
    """Measure a segmenter that is warmed up.

    Args:
        segmenter: from `warmed_up`.
        loop: the frames it follows.
        frames: per repeat, rounded up to whole chunks.
        repeats: for median and quartiles.
        peak: of the same device and precision.
    """
    chunk = segmenter.config.chunk
    chunks = -(-frames // chunk)
    rates = []
    for _ in range(repeats):
        synchronise(segmenter.device)
        begun = time.perf_counter()
        for _ in range(chunks):
            segmenter.steps(loop.take(chunk))
        synchronise(segmenter.device)
        rates.append(chunks * chunk / (time.perf_counter() - begun))
    spread = quartiles(rates)
    on_gpu = segmenter.device.type == "cuda"
    device_bytes = torch.cuda.max_memory_allocated(segmenter.device) if on_gpu else None
    resident = peak_resident()
    gflop = count_gflop(segmenter, loop.take(segmenter.config.memory.interval))
    estimate = segmenter.estimate(len(segmenter.object_ids))
    return ModelSpeed(spread, gflop, gflop * spread.median / peak.best, resident, device_bytes, estimate)


def profile_model(segmenter: Segmenter, loop: FrameLoop, frames: int, count: int = 10) -> list[OperationCost]:
    """The most expensive operations by their own time, on the device where the model runs."""
    on_gpu = segmenter.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    chunk = segmenter.config.chunk
    chunks = -(-frames // chunk)
    with torch_profile(activities=activities) as profiler:
        for _ in range(chunks):
            segmenter.steps(loop.take(chunk))
    attribute = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    rows = [(event.key, float(getattr(event, attribute)), event.count) for event in profiler.key_averages()]
    total = sum(microseconds for _, microseconds, _ in rows) or 1.0
    rows.sort(key=lambda row: -row[1])
    done = chunks * chunk
    return [
        OperationCost(name, us / 1e3 / done, calls / done, us / total) for name, us, calls in rows[:count]
    ]
