"""What changes from one frame to the next as a whole: exposure and scene cuts."""

import cv2
import numpy as np
import pytest
import torch
from segmenting import saved_and_read

from stma.config import SegmenterConfig
from stma.network.label_propagation import MATCH_SCALE
from stma.network.soft_masks import unlike
from stma.scene import Change, Scene
from stma.segmenter import Segmenter
from stma.weights import load_model

DISC = (60, 80)  # row and column of the middle of the object


def ground(seed: int, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    """(120, 160, 3) uint8 RGB clouds of 40 to 200 of a colour."""
    noise = np.random.default_rng(seed).normal(size=(120, 160)).astype(np.float32)
    clouds = cv2.GaussianBlur(noise, (0, 0), 6)
    spread = (clouds - clouds.min()) / (clouds.max() - clouds.min())
    return np.asarray((40 + 160 * spread[..., None]) * tint, dtype=np.uint8)


def lit(frame: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(np.clip(frame * factor + 0.5, 0, 255), dtype=np.uint8)


def gains(frames: list[np.ndarray]) -> list[float]:
    scene = Scene()
    return [scene.advance(frame, marked=n == 0).gain for n, frame in enumerate(frames)]


def test_a_jump_of_exposure_is_undone_until_it_goes_back() -> None:
    frame = ground(1)
    found = gains([frame, lit(frame, 0.4), lit(frame, 0.4), frame])
    assert found == [1, pytest.approx(2.5, rel=0.02), pytest.approx(2.5, rel=0.02), 1]
    restored = Change(found[1]).undone(lit(frame, 0.4))
    assert np.abs(restored.astype(int) - frame).max() <= 4


def test_a_slow_change_of_exposure_adds_up() -> None:
    frame = ground(1)
    assert gains([lit(frame, 0.95**n) for n in range(21)])[-1] == pytest.approx(1 / 0.95**20, rel=0.1)


def test_small_changes_and_moving_content_leave_a_frame_as_it_is() -> None:
    frame = ground(1)
    panning = [np.ascontiguousarray(ground(2)[:, 4 * n : 4 * n + 100]) for n in range(8)]
    assert gains([frame, lit(frame, 0.98), lit(frame, 1.02)]) == [1, 1, 1]
    assert gains(panning) == [1] * 8
    assert Change().undone(frame) is frame


@pytest.mark.parametrize("between", [0.0, 50.0])
def test_black_frames_and_flashes_tell_nothing(between: float) -> None:
    frame = ground(1)
    scene = Scene()
    changes = [
        scene.advance(lit(frame, factor), n == 0) for n, factor in enumerate((1, between, between, 0.5, 1))
    ]
    assert not any(change.cut for change in changes)
    assert [change.gain for change in changes] == [1, 1, 1, pytest.approx(2, rel=0.03), 1]


def test_exposure_that_leads_away_from_the_marked_frame_is_forgotten() -> None:
    frame = ground(1)
    dark_then_unlike = [
        frame,
        lit(frame, 0.5),
        *[ground(3, (0.9, 1, 1))] * 2,
    ]  # as bright as the marked one again
    assert gains(dark_then_unlike)[2:] == [1, 1]


def test_a_cut_is_told_from_motion_and_from_light() -> None:
    def cuts(*frames: np.ndarray) -> list[bool]:
        scene = Scene()
        return [scene.advance(frame, marked=n == 0).cut for n, frame in enumerate(frames)]

    reddish, bluish = ground(1, (1, 0.4, 0.3)), ground(2, (0.3, 0.4, 1))
    assert cuts(reddish, reddish, bluish, bluish, reddish) == [False, False, True, False, True]
    assert cuts(reddish, lit(reddish, 0.3), reddish) == [False] * 3
    assert cuts(reddish, np.roll(reddish, 30, axis=1), np.roll(reddish, 60, axis=1)) == [False] * 3


def test_frames_before_the_first_mask_are_not_compared_with() -> None:
    frame = ground(1)
    changes = Scene().changes([lit(frame, 0.3), frame, lit(frame, 0.5)], {1}, known=False)
    assert [change.gain for change in changes] == [1, 1, pytest.approx(2, rel=0.03)]
    assert Scene().changes([frame, frame], set(), known=False) == [Change(), Change()]


def test_objects_that_nothing_looks_like_are_told() -> None:
    logits = torch.full((1, 3, 8, 8), -5.0)
    logits[0, :2, 2:6, 2:6] = 5.0  # two objects found, a third nowhere
    match = torch.full((1, 3, 3, 4, 4), float(np.log(1e-6)) / MATCH_SCALE)
    match[0, 0, 1, 1, 1] = (
        float(np.log(1e-2)) / MATCH_SCALE
    )  # one cell of four, by frames that were predicted
    match[0, 1, 2] = 0.0  # the newest frame by itself proves nothing
    assert unlike(logits, match).tolist() == [[False, True, False]]


def with_disc(frame: np.ndarray) -> np.ndarray:
    """A striped yellow and black disc of 40 pixels on a frame."""
    rows, columns = np.indices(frame.shape[:2])
    inside = (rows - DISC[0]) ** 2 + (columns - DISC[1]) ** 2 < 20**2
    stripes = np.where((columns // 5 % 2 == 0)[..., None], (240, 200, 20), (30, 20, 10))
    return np.where(inside[..., None], stripes, frame).astype(np.uint8)


def followed(frames: list[np.ndarray], resume_before: int | None = None) -> list[np.ndarray]:
    """Labels of the disc by the shipped weights; a frame is followed from a saved state where asked for."""
    config = SegmenterConfig(size=None, device="cpu", precision="fp32")
    model = load_model("small").model
    segmenter = Segmenter(model, config)
    mask = (with_disc(frames[0]) != with_disc(lit(frames[0], 0))).any(2)
    labels = []
    for n, frame in enumerate(frames):
        if n == resume_before:
            state = saved_and_read(segmenter)
            segmenter = Segmenter(model, config)
            segmenter.load_state_dict(state)
        labels.append(segmenter.step(frame, (~mask).astype(np.uint8) if n == 0 else None).labels)
    return labels


def test_an_object_survives_a_sudden_change_of_light() -> None:
    frame = with_disc(ground(1))
    labels = followed([frame, frame, *[lit(frame, 0.25)] * 3], resume_before=3)
    assert all((found == labels[0]).mean() > 0.98 for found in labels)


def test_a_scene_without_the_object_shows_none_and_the_object_is_found_again() -> None:
    here, elsewhere = with_disc(ground(1, (1, 0.4, 0.3))), ground(2, (0.3, 0.4, 1))
    labels = followed([here, here, elsewhere, here])
    assert not labels[2].any()
    assert (labels[3] == labels[0]).mean() > 0.98
