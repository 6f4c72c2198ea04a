"""Motion of the layers of a synthetic clip."""

import numpy as np

from stma.training.motion import OBJECT, USUAL_FRAMES, MotionRange, affine_walk


def scalings(frames: int) -> np.ndarray:
    """Largest factor by which a layer grows or shrinks, of 300 clips."""
    found = []
    for seed in range(300):
        moves = affine_walk(np.random.default_rng(seed), frames, 256, OBJECT.over(frames))
        assert np.allclose(moves[0], np.eye(3)), "a clip starts where the layer is placed"
        factors = [np.sqrt(np.linalg.det(move[:2, :2])) for move in moves]
        found.append(max(max(factors), 1 / min(factors)))
    return np.array(found)


def test_longer_clips_change_more_in_scale_but_at_most_fourfold() -> None:
    short, long = scalings(USUAL_FRAMES), scalings(10)
    assert np.median(long) > 1.3 * np.median(short)
    assert short.max() < 3
    assert 3 < long.max() < 4.1


def test_clips_of_usual_length_keep_their_range() -> None:
    assert OBJECT.over(USUAL_FRAMES) == OBJECT == OBJECT.over(2)


def test_a_layer_shrinks_no_further_than_there_is_room() -> None:
    widest = MotionRange(shift=0.0, rotation=0.0, log_scale=3.0, elastic=0.0)
    for seed in range(20):
        free, bound = (
            [np.hypot(*move[0, :2]) for move in affine_walk(np.random.default_rng(seed), 8, 64, widest, room)]
            for room in (9.0, 0.2)
        )
        assert np.allclose(bound, np.maximum(free, np.exp(-0.2)))
