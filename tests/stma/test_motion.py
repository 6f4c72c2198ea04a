"""Motion of the layers of a synthetic clip."""

import cv2
import numpy as np
import pytest

from stma.training.motion import (
    OBJECT,
    USUAL_FRAMES,
    MotionRange,
    Warp,
    affine_walk,
    elastic_walk,
    placement,
    warps,
    zoom_walk,
)


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


def test_a_camera_draws_back_from_a_close_up_within_the_crop() -> None:
    backward = 0
    for seed in range(60):
        views = zoom_walk(np.random.default_rng(seed), 8, 3.0, 20.0, 50.0)
        factors = [float(view[0, 0]) for view in views]
        steps = np.diff(factors)
        assert (steps <= 1e-9).all() or (steps >= -1e-9).all(), "one way only"
        assert min(factors) == 1.0
        assert 3.0**0.3 <= max(factors) <= 3.0
        backward += factors[0] == 1.0
        for view in views:
            assert np.allclose(view @ (20.0, 50.0, 1.0), (20.0, 50.0, 1.0))
            left, top, _ = np.linalg.inv(view) @ (0.0, 0.0, 1.0)
            right, bottom, _ = np.linalg.inv(view) @ (64.0, 64.0, 1.0)
            assert min(left, top) >= -1e-9
            assert max(right, bottom) <= 64.0 + 1e-9
    assert 5 < backward < 30


@pytest.mark.parametrize("bends", [False, True])
def test_a_box_of_a_crop_is_warped_as_the_whole_of_it(bends: bool) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (50, 70, 3), dtype=np.uint8)
    matrix = placement(35, 25, 40, 30, 20, 1.4)
    field = elastic_walk(rng, 3, 80, 0.05)[2] if bends else None
    box = (slice(10, 61), slice(25, 70))
    whole = Warp(matrix, 80, field).picture(image, cv2.BORDER_CONSTANT)
    part = Warp(matrix, 80, field, box).picture(image, cv2.BORDER_CONSTANT)
    assert part.shape == (51, 45, 3)
    assert np.abs(part.astype(int) - whole[box]).max() <= 8, "coordinates are rounded to a 32nd of a pixel"
    assert np.mean(part != whole[box]) < 0.05


@pytest.mark.parametrize("bends", [False, True])
def test_labels_are_moved_as_their_picture_and_never_mixed(bends: bool) -> None:
    labels = np.zeros((50, 70), np.uint8)
    labels[10:40, 15:55] = 200
    rng, base = np.random.default_rng(1), placement(35, 25, 40, 40, 10, 1.3)
    moves = affine_walk(rng, 4, 80, OBJECT)
    fields = elastic_walk(rng, 4, 80, 0.03) if bends else None
    for place in warps(moves, base, 80, fields):
        moved, picture = place.labels(labels, cv2.BORDER_CONSTANT), place.picture(labels, cv2.BORDER_CONSTANT)
        assert set(np.unique(moved)) == {0, 200}
        assert len(np.unique(picture)) > 2
        assert np.mean((picture > 100) != (moved > 100)) < 0.05
