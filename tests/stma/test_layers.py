"""Layers of synthetic clips: occlusion, bars, and blur along a layer's own motion."""

from dataclasses import replace

import numpy as np
import pytest

from stma.training.colour import shutter_blur
from stma.training.layers import (
    BARS_SIZES,
    DISTRACTOR,
    LayeredScene,
    Shadow,
    bars,
    blur_whole,
    displacements,
    draw_absence,
    draw_shutter,
    paste,
)
from stma.training.motion import CAMERA, MotionRange, placement
from stma.training.sources import CutOut

SIDE = 192
FRAMES = 4
FAST = MotionRange(shift=3.0, rotation=0.0, log_scale=0.0, elastic=0.0)
WHITE = CutOut((np.full((20, 20, 3), 255, dtype=np.uint8),), (np.full((20, 20), 255, dtype=np.uint8),))


def empty_scene(shutter: float = 0.0) -> LayeredScene:
    def blank() -> np.ndarray:
        return np.zeros((SIDE, SIDE), dtype=np.uint8)

    frames = [np.zeros((SIDE, SIDE, 3), dtype=np.uint8) for _ in range(FRAMES)]
    return LayeredScene(frames, [blank() for _ in frames], [blank() for _ in frames], shutter)


def test_a_pasted_cut_out_is_seen_where_it_is_labelled() -> None:
    scene = empty_scene()
    paste(np.random.default_rng(0), scene, WHITE, 3, CAMERA)
    for frame, labels in zip(scene.frames, scene.maps, strict=True):
        assert set(np.unique(labels)) == {0, 3}
        assert ((frame[..., 0] > 127) == (labels == 3)).mean() > 0.97


def test_a_newcomer_is_first_seen_later_and_beside_an_object() -> None:
    near = []
    for seed in range(30):
        scene = empty_scene()
        for labels in scene.maps:
            labels[90:100, 90:100] = 1
        paste(
            np.random.default_rng(seed), scene, WHITE, DISTRACTOR, CAMERA, sizes=(0.2, 0.3), seen=range(2, 4)
        )
        assert [bool((labels == DISTRACTOR).any()) for labels in scene.maps[:2]] == [False, False]
        assert not scene.frames[1].any()
        near.append(bool((scene.maps[2][70:120, 70:120] == DISTRACTOR).any()))
    assert sum(near) > 20


def test_what_leaves_uncovers_the_object() -> None:
    scene = empty_scene()
    for labels in scene.maps:
        labels[60:130, 60:130] = 1
    paste(np.random.default_rng(2), scene, WHITE, DISTRACTOR, CAMERA, sizes=(0.3, 0.4), seen=range(2))
    covered = [int((labels[60:130, 60:130] != 1).sum()) for labels in scene.maps]
    assert covered[0] > 0
    assert covered[2:] == [0, 0]


def test_a_cut_out_of_a_real_clip_keeps_its_own_motion() -> None:
    images = tuple(np.full((40, 40, 3), 60 * (time + 1), dtype=np.uint8) for time in range(FRAMES))
    alphas = tuple(np.zeros((40, 40), dtype=np.uint8) for _ in range(FRAMES))
    for time, alpha in enumerate(alphas):
        alpha[5:15, 3 * time : 3 * time + 10] = 255
    scene = empty_scene()
    still = MotionRange(shift=0.0, rotation=0.0, log_scale=0.0, elastic=0.0)
    rng = np.random.default_rng(5)
    paste(rng, scene, CutOut(images, alphas), 1, still, sizes=(0.2, 0.21))
    places = [np.argwhere(labels == 1).mean(0) for labels in scene.maps]
    away = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert away == pytest.approx(0.3 * 0.2 * SIDE, rel=0.15), "three tenths of its first size in each frame"
    for time, (frame, labels) in enumerate(zip(scene.frames, scene.maps, strict=True)):
        assert np.median(frame[labels == 1]) == 60 * (time + 1)


def test_a_camera_moves_later_layers_too() -> None:
    plain = empty_scene()
    views = tuple(placement(0, 0, 10 * time, 0, 0, 1) for time in range(FRAMES))
    moved = replace(empty_scene(), camera=views)
    stiff = replace(CAMERA, elastic=0.0)
    for scene in (plain, moved):
        paste(np.random.default_rng(0), scene, WHITE, 1, stiff)
    for time, (one, other) in enumerate(zip(plain.maps, moved.maps, strict=True)):
        assert np.array_equal(other[:, 10 * time :], one[:, : SIDE - 10 * time])


def test_an_absent_object_is_neither_seen_nor_labelled() -> None:
    scene = empty_scene()
    paste(np.random.default_rng(0), scene, WHITE, 1, CAMERA, absent=range(1, 3))
    assert [bool(labels.any()) for labels in scene.maps] == [True, False, False, True]
    assert [bool(frame.any()) for frame in scene.frames] == [True, False, False, True]


def test_absences_are_as_frequent_as_asked_and_never_at_first() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_absence(rng, 0.3, 6) for _ in range(500)]
    assert 0.2 < np.mean([len(frames) > 0 for frames in drawn]) < 0.4
    assert min(frames.start for frames in drawn if frames) == 1
    assert max(frames.stop for frames in drawn) == 6
    state = rng.bit_generator.state
    assert not draw_absence(rng, 0.0, 6)
    assert rng.bit_generator.state == state, "clips without absences stay what they were"


def test_a_shadow_darkens_the_ground_below_and_belongs_to_no_object() -> None:
    still = MotionRange(shift=0.0, rotation=0.0, log_scale=0.0, elastic=0.0)
    shadow = Shadow(height=-0.5, lean=0.0, depth=0.5, softness=0.01)
    dark = light = 0
    for seed in range(8):
        scene, without = empty_scene(), empty_scene()
        for frame in (*scene.frames, *without.frames):
            frame[:] = 200
        for each, cast in ((scene, shadow), (without, None)):
            paste(np.random.default_rng(seed), each, WHITE, 1, still, sizes=(0.2, 0.3), shadow=cast)
        frame, labels = scene.frames[0][..., 0], scene.maps[0]
        assert np.array_equal(labels, without.maps[0])
        assert np.array_equal(frame[labels == 1], without.frames[0][..., 0][labels == 1])
        rows = np.nonzero(frame < 110)[0]
        dark, light = dark + len(rows), light + int((labels == 1).sum())
        assert frame[labels == 0].min() >= 99, "half of the light is left"
        assert not len(rows) or rows.mean() > np.nonzero(labels)[0].mean(), "towards the camera is down"
    assert dark > 0.3 * light, "but for what falls outside of the frame"


def test_what_passes_behind_leaves_the_objects_as_they_are() -> None:
    scene = empty_scene()
    for frame, labels in zip(scene.frames, scene.maps, strict=True):
        frame[60:130, 60:130] = (200, 0, 0)
        labels[60:130, 60:130] = 1
    paste(
        np.random.default_rng(3),
        scene,
        WHITE,
        DISTRACTOR,
        CAMERA,
        sizes=(0.6, 0.7),
        seen=range(1, 4),
        behind=True,
    )
    assert (scene.maps[2] == DISTRACTOR).any()
    for frame, labels in zip(scene.frames, scene.maps, strict=True):
        assert (labels[60:130, 60:130] == 1).all()
        assert (frame[60:130, 60:130] == (200, 0, 0)).all()


def test_an_open_shutter_smears_what_moves_and_leaves_its_label() -> None:
    sharp, blurred = empty_scene(), empty_scene(shutter=0.6)
    for scene in (sharp, blurred):
        paste(np.random.default_rng(1), scene, WHITE, 1, FAST, sizes=(0.3, 0.31))
    for one, other in zip(sharp.maps, blurred.maps, strict=True):
        assert np.array_equal(one, other)
    half = [
        [((frame[..., 0] > 40) & (frame[..., 0] < 215)).sum() for frame in scene.frames]
        for scene in (sharp, blurred)
    ]
    assert sum(half[1]) > 1.3 * sum(half[0]), "more pixels are half covered"


def test_shifts_are_those_of_the_layer() -> None:
    moves = [placement(0, 0, 3 * time, -time, 0, 1) for time in range(4)]
    assert np.allclose(displacements(moves, 5, 5), [(3, -1)] * 4)
    assert displacements(moves[:1], 5, 5) == [(0.0, 0.0)]


def test_blur_runs_along_the_motion_and_is_bounded() -> None:
    dot = np.zeros((41, 41), dtype=np.float32)
    dot[20, 20] = 1
    level = shutter_blur(dot, (30, 0), 0.5, longest=11)
    rows, columns = np.nonzero(level > 1e-3)
    assert set(rows) == {20}
    assert len(columns) == 11
    assert level.sum() == pytest.approx(1.0, abs=1e-3)
    assert shutter_blur(dot, (2, 1), 0.5, longest=11) is dot, "shorter than three pixels"
    falling = shutter_blur(dot, (10, 10), 1.0, longest=41)
    assert falling[16, 16] > 0, "down and to the right, as the layer goes"
    assert falling[16, 24] < 1e-3


def test_a_camera_that_stands_still_blurs_nothing() -> None:
    frames = [np.random.default_rng(i).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8) for i in range(2)]
    still = [np.eye(3)] * 2
    assert all(np.array_equal(a, b) for a, b in zip(frames, blur_whole(frames, still, 0.6), strict=True))
    moving = [np.eye(3), placement(0, 0, 20, 0, 0, 1)]
    assert not np.array_equal(frames[0], blur_whole(frames, moving, 0.6)[0])


def test_bars_occlude_in_stripes_and_are_not_followed() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        drawn = bars(rng, rng.integers(0, 255, (90, 300, 3), dtype=np.uint8))
        image, alpha = drawn.at(1)
        assert image.shape == (*alpha.shape, 3)
        assert 0 < (alpha > 0).mean() < 0.6
        scene = empty_scene()
        paste(rng, scene, drawn, DISTRACTOR, CAMERA, BARS_SIZES)
        assert set(np.unique(scene.maps[0])) <= {0, DISTRACTOR}


def test_shutters_open_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_shutter(rng, 0.4) for _ in range(500)]
    assert 0.3 < np.mean([share > 0 for share in drawn]) < 0.5
    assert max(drawn) <= 0.6
    state = rng.bit_generator.state
    assert draw_shutter(rng, 0.0) == 0
    assert rng.bit_generator.state == state, "clips without blur stay what they were"
