"""Composed hard clips keep what their kind promises."""

from pathlib import Path

import numpy as np
import pytest

from stma.errors import DataError
from stma.training.pool import TrainingPool, scan
from stma.training.stress import FRAMES, KINDS, SIDE, StressClip, stress_clip


@pytest.fixture(scope="module")
def clips(training_folder: Path) -> dict[str, StressClip]:
    pool = scan(training_folder)
    return {kind: stress_clip(pool, kind, 0, seed=3) for kind in KINDS}


def areas(clip: StressClip) -> np.ndarray:
    return (clip.labels == 1).sum((1, 2))


def test_all_objects_start_visible_and_clips_are_reproducible(
    training_folder: Path, clips: dict[str, StressClip]
) -> None:
    for clip in clips.values():
        assert clip.frames.shape == (FRAMES, SIDE, SIDE, 3)
        ids = set(np.unique(clip.labels)) - {0}
        assert ids == set(np.unique(clip.labels[0])) - {0}, clip.name
    again = stress_clip(scan(training_folder), "fast", 0, seed=3)
    assert np.array_equal(again.frames, clips["fast"].frames)


def test_crossing_objects_occlude_each_other(clips: dict[str, StressClip]) -> None:
    visible = (clips["crossing"].labels > 0).sum((1, 2))
    assert clips["crossing"].labels.max() >= 2
    assert visible.min() < 0.95 * visible[0]


def test_an_object_that_returns_was_out_of_sight(clips: dict[str, StressClip]) -> None:
    seen = areas(clips["return"])
    assert seen[FRAMES // 2] == 0
    assert seen[-1] > 0.8 * seen[0]


def test_small_fast_and_scaled_objects(clips: dict[str, StressClip]) -> None:
    assert areas(clips["small"]).max() < 0.01 * SIDE**2
    scaled = areas(clips["scale"])
    assert max(scaled[-1] / scaled[0], scaled[0] / scaled[-1]) > 6
    rows, columns = zip(*(np.argwhere(labels == 1).mean(0) for labels in clips["fast"].labels), strict=True)
    assert np.hypot(np.diff(rows), np.diff(columns)).max() > 0.08 * SIDE


def test_what_is_missing_is_named(training_folder: Path) -> None:
    pool = scan(training_folder)
    with pytest.raises(DataError, match="use one of crossing"):
        stress_clip(pool, "flying", 0)
    with pytest.raises(DataError, match=r"splits\.json"):
        stress_clip(TrainingPool(pool.sequences, (), pool.stills, pool.plain), "fast", 0)
