"""The benchmark's parts: what is counted and how it is summarised, not how fast this machine is."""

import itertools

import numpy as np
import pytest
import torch

from stma.benchmark import (
    FrameLoop,
    MatrixPeak,
    count_gflop,
    measure_model,
    measure_peak,
    profile_model,
    quartiles,
    warmed_up,
)
from stma.config import MODEL_CONFIGS, MemoryConfig, SegmenterConfig
from stma.device import has_fast_int8, resolve_precision
from stma.network.model import STMA
from stma.segmenter import Segmenter
from stma.synthetic import SyntheticScene

CPU = torch.device("cpu")

CONFIG = SegmenterConfig(
    size=None, chunk=2, device="cpu", precision="fp32", memory=MemoryConfig(interval=2, capacity=2)
)


@pytest.fixture
def prepared() -> tuple[Segmenter, FrameLoop]:
    torch.manual_seed(0)
    loop = FrameLoop(48, 64, 2)
    return warmed_up(STMA(MODEL_CONFIGS["tiny"]), CONFIG, loop), loop


@pytest.mark.parametrize("objects", [1, 3, 10, 20])
def test_scene_shows_all_objects_and_moves(objects: int) -> None:
    scene = SyntheticScene(96, 160, objects)
    frames = [scene.frame(index) for index in (0, 5)]
    for pixels, labels in frames:
        assert pixels.shape == (96, 160, 3)
        assert pixels.dtype == np.uint8
        assert set(np.unique(labels)) == set(range(objects + 1))
    assert not np.array_equal(frames[0][0], frames[1][0])
    assert not np.array_equal(frames[0][1], frames[1][1])
    assert np.array_equal(SyntheticScene(96, 160, objects).frame(5)[0], frames[1][0])


def test_frames_go_forth_and_back() -> None:
    loop = FrameLoop(48, 64, 1)
    taken = loop.take(2 * len(loop.frames))
    assert taken[0] is taken[2 * len(loop.frames) - 2]
    assert all(a is not b for a, b in itertools.pairwise(taken))
    assert loop.take(1)[0] is loop.frames[2]


def test_memory_is_full_after_warming_up(prepared: tuple[Segmenter, FrameLoop]) -> None:
    segmenter, _ = prepared
    assert sum(not stored.permanent for stored in segmenter.bank.entries) == CONFIG.memory.capacity
    assert segmenter.object_ids == (1, 2)


def test_arithmetic_includes_attention_and_does_not_depend_on_the_chunk(
    prepared: tuple[Segmenter, FrameLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter, loop = prepared
    counted = count_gflop(segmenter, loop.take(2))
    assert counted == pytest.approx(count_gflop(segmenter, loop.take(2)))
    monkeypatch.setattr("stma.benchmark._attention_flop", lambda *shapes, **named: 0)
    without = count_gflop(segmenter, loop.take(2))
    config = segmenter.model.config
    cells = 48 * 64 // 256
    pooled = 2 * 2  # 3 x 4 cells in averages of 2x2
    keys = (1 + CONFIG.memory.references) * pooled
    test_stream = 4 * config.stml_blocks * cells * keys * config.widths[2] / 1e9
    assert counted - without >= test_stream


def test_measurement_is_consistent(prepared: tuple[Segmenter, FrameLoop]) -> None:
    segmenter, loop = prepared
    speed = measure_model(segmenter, loop, frames=3, repeats=3, peak=MatrixPeak(10.0, 20.0))
    rate = speed.frames_per_second
    assert 0 < rate.lower <= rate.median <= rate.upper
    assert speed.share_of_peak == pytest.approx(speed.gflop_per_frame * rate.median / 20.0)
    assert speed.resident_bytes > speed.estimate.entries > 0
    assert speed.device_bytes is None


def test_peak_is_measured_in_the_precision_asked_for() -> None:
    for precision in ("fp32", "bf16", *(["int8"] if has_fast_int8() else [])):
        peak = measure_peak(CPU, resolve_precision(precision, CPU), side=128)
        assert 0 < min(peak.matmul, peak.convolution) <= peak.best


def test_profile_lists_the_most_expensive_first(prepared: tuple[Segmenter, FrameLoop]) -> None:
    rows = profile_model(*prepared, frames=2, count=5)
    assert len(rows) == 5
    assert [row.milliseconds for row in rows] == sorted((row.milliseconds for row in rows), reverse=True)
    assert 0 < sum(row.share for row in rows) <= 1


def test_quartiles() -> None:
    spread = quartiles([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (spread.lower, spread.median, spread.upper) == (2.0, 3.0, 4.0)
