"""Clips made of one annotated frame."""

import numpy as np
import pytest

from stma.config import LEARNING_OBJECTS
from stma.training.clips import TrainingClip
from stma.training.frame_clips import FrameClips

SIDE = 96


def annotated(objects: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """A grey frame with a red and a blue square, apart from each other, and their labels."""
    frame = np.full((120, 160, 3), 110, np.uint8)
    labels = np.zeros((120, 160), np.uint8)
    squares = ((slice(20, 60), slice(20, 60), (220, 30, 30)), (slice(60, 100), slice(90, 140), (30, 30, 220)))
    for number, (rows, columns, colour) in enumerate(squares[:objects], start=1):
        frame[rows, columns], labels[rows, columns] = colour, number
    return frame, labels


@pytest.fixture(scope="module")
def clips() -> FrameClips:
    return FrameClips(*annotated(), SIDE, 5, 120)


def drawn(clips: FrameClips, seed: int) -> TrainingClip:
    clip = clips.draw(np.random.default_rng(seed))
    assert clip is not None
    return clip


def reddish(pixels: np.ndarray) -> np.ndarray:
    """Red more than blue, of (N, 3) pixels, whatever the colour shift."""
    return pixels[:, 0].astype(int) - pixels[:, 2]


def test_labels_stay_on_their_objects_in_all_frames(clips: FrameClips) -> None:
    told = 0
    for seed in range(20):
        clip = drawn(clips, seed)
        assert clip.frames.shape == (5, SIDE, SIDE, 3)
        assert clip.labels.shape == (5, SIDE, SIDE)
        assert 1 <= clip.objects <= 2
        for number in range(1, clip.objects + 1):
            signs = [
                np.sign(np.median(reddish(f[m == number])))
                for f, m in zip(clip.frames, clip.labels, strict=True)
                if (m == number).sum() > 30
            ]
            if len(signs) > 1 and signs[0] != 0:  # a colour shift may have taken all colour away
                assert set(signs) == {signs[0]}
                told += 1
    assert told > 10


def test_objects_move_and_are_filled_in_where_they_were(clips: FrameClips) -> None:
    moved = 0
    for seed in range(12):
        clip = drawn(clips, seed)
        first, last = clip.labels[0] > 0, clip.labels[-1] > 0
        moved += bool((first ^ last).sum() > 20)
        left = first & ~last & (clip.labels[-2] == 0)
        spread = clip.frames[-1][left].astype(int)
        if left.sum() > 50 and len(spread):
            assert np.median(np.ptp(spread, axis=1)) < 60, "grey, not the object that has left"
    assert moved > 8


def test_the_same_seed_gives_the_same_clip(clips: FrameClips) -> None:
    once, again = (drawn(clips, 3) for _ in range(2))
    assert np.array_equal(once.frames, again.frames)
    assert np.array_equal(once.labels, again.labels)


def test_an_object_that_fills_the_frame() -> None:
    frame = np.full((64, 64, 3), 90, np.uint8)
    clip = drawn(FrameClips(frame, np.ones((64, 64), np.uint8), 64, 3, 64), 0)
    assert clip.objects == 1
    assert (clip.labels[0] == 1).mean() > 0.5


@pytest.mark.parametrize(("side", "seen"), [(5, True), (1, False)])
def test_small_objects_are_learned_from_and_specks_are_not(side: int, seen: bool) -> None:
    frame, labels = annotated(0)
    labels[50 : 50 + side, 70 : 70 + side] = 1
    clips = FrameClips(frame, labels, SIDE, 3, 120)
    assert (clips.draw(np.random.default_rng(0)) is not None) == seen


def test_a_clip_tells_no_more_objects_apart_than_memory_is_foretold_for() -> None:
    frame, labels = annotated(0)
    for number in range(12):
        top, left = 30 * (number // 4) + 8, 38 * (number % 4) + 8
        frame[top : top + 20, left : left + 20] = 20 * number
        labels[top : top + 20, left : left + 20] = number + 1
    clips = FrameClips(frame, labels, SIDE, 3, 120)
    found = [drawn(clips, seed) for seed in range(8)]
    assert max(clip.objects for clip in found) == clips.objects == LEARNING_OBJECTS
    assert max(int(clip.labels.max()) for clip in found) == LEARNING_OBJECTS
