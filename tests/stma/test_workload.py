"""The arithmetic of a frame by formula against what torch counts."""

import itertools

import pytest
import torch

from stma import workload
from stma.benchmark import FrameLoop, count_gflop, warmed_up
from stma.config import MODEL_CONFIGS, ModelConfig, SegmenterConfig
from stma.network.model import STMA
from stma.workload import cpu_speed, gflop_per_frame

TINY = MODEL_CONFIGS["tiny"]


@pytest.mark.parametrize("objects", [1, 4])
def test_formula_is_near_the_count(objects: int) -> None:
    torch.manual_seed(0)
    loop = FrameLoop(272, 480, objects)
    config = SegmenterConfig(size=None, device="cpu", precision="fp32", focus=False)
    segmenter = warmed_up(STMA(TINY), config, loop)
    counted = count_gflop(segmenter, loop.take(segmenter.config.memory.interval))
    assert gflop_per_frame(TINY, 272, 480, objects) == pytest.approx(counted, rel=0.1)


def test_more_of_anything_is_more_work() -> None:
    small = MODEL_CONFIGS["small"]
    base = gflop_per_frame(small, 480, 864, 1) or 0.0
    assert base == pytest.approx(57, rel=0.1)  # what stma bench --no-focus counts
    assert (gflop_per_frame(small, 480, 864, 2) or 0.0) > base
    assert (gflop_per_frame(small, 960, 1728, 1) or 0.0) > 4 * base


def test_an_unknown_network_has_no_figure() -> None:
    assert gflop_per_frame(ModelConfig(stem_width=64), 480, 864, 1) is None


@pytest.mark.parametrize("eighths", [False, True])
def test_speed_grows_with_what_the_cpu_multiplies_fast(
    eighths: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(workload.time, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(workload, "has_dot_products", lambda: eighths)
    speeds = []
    for halves in (False, True):
        monkeypatch.setattr(workload, "has_fast_bf16", lambda halves=halves: halves)
        speeds.append(cpu_speed())
    assert 0 < speeds[0] < speeds[1]
    monkeypatch.setattr(workload, "has_dot_products", lambda: True)
    assert cpu_speed() >= speeds[1]
