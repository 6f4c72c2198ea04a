"""Arithmetic of one frame and the speed of this CPU, without torch: what a run will take, roughly.

For a working size of P pixels, N = P / 256 cells at stride 16 and K objects:

    operations of a frame = a P + b P K + c N^2 + d N^2 K

a to d follow from the operations that `stma.benchmark.count_gflop` counted with the default memory policy, looking
everywhere, at 480x272 and 864x480 pixels with 1 and 4 objects. Smaller frames than that are not as regular. A CPU that
looks only where objects may be needs less, by how much depends on what a video shows; `cpu_speed` counts it as speed.
"""

import time
from dataclasses import dataclass

import numpy as np

from stma.config import MODEL_CONFIGS, ModelConfig
from stma.processor import has_dot_products, has_fast_bf16

GIGA = 1e9
SIDE = 1024  # rows of the matrices: enough for all cores, some milliseconds
REPEATS = 5
# Speed of the model over that of plain fp32 products, looking only where objects may be; fp32, then with fast bf16.
# The means of four clips on two cores of a Zen 5, from half of it to a quarter more.
SHARES = (1.8, 4.0)
# With convolutions in 8 bits where such products are summed up in one instruction. With AVX2 alone a frame gains too
# little by them to tell from the load of a shared machine (docs/benchmark.md), so that CPU goes by the shares above.
INT8_SHARES = (2.5, 4.5)


@dataclass(frozen=True)
class Work:
    """Operations per pixel, per pixel and object, per pair of cells, and per pair of cells and object."""

    pixel: float
    pixel_object: float
    pair: float
    pair_object: float


WORK: dict[ModelConfig, Work] = {
    MODEL_CONFIGS["small"]: Work(87_235, 14_917, 3_919, 1_507),
    MODEL_CONFIGS["tiny"]: Work(5_328, 850, 870, 210),
}


def gflop_per_frame(config: ModelConfig, height: int, width: int, objects: int) -> float | None:
    """Arithmetic of one frame in GFLOP, a multiply-add as two; None for a network that was not counted.

    Args:
        config: of the network.
        height, width: working size in pixels (`Segmenter.working_size`).
        objects: objects that are followed.
    """
    work = WORK.get(config)
    if work is None:
        return None
    pixels = height * width
    pairs = (pixels / 256) ** 2
    per_pixel = work.pixel + work.pixel_object * objects
    per_pair = work.pair + work.pair_object * objects
    return (pixels * per_pixel + pairs * per_pair) / GIGA


def cpu_speed() -> float:
    """Measure what the model will reach with `--precision auto` on this CPU as it is loaded now, in GFLOP of
    `gflop_per_frame` per second; takes a moment. With AVX2 alone it is what fp32 reaches, see `INT8_SHARES`."""
    matrix = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    seconds = []
    for _ in range(REPEATS + 1):  # the first one warms up
        begun = time.perf_counter()
        np.dot(matrix, matrix)
        seconds.append(time.perf_counter() - begun)
    share = (INT8_SHARES if has_dot_products() else SHARES)[has_fast_bf16()]
    return share * 2 * SIDE**3 / min(seconds[1:]) / GIGA
