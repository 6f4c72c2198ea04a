"""What changes from one frame to the next as a whole: exposure and scene cuts."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from colour_network import colour_network
from segmenting import CONFIG, saved_and_read

from stma import frame_step
from stma.config import MemoryConfig
from stma.network.decoder import Decoded
from stma.network.label_propagation import MATCH_SCALE
from stma.network.soft_masks import strange, unlike
from stma.scene import Change, Scene
from stma.segmenter import Segmenter


def ground(seed: int, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    """(120, 160, 3) uint8 RGB clouds of 40 to 200 of a colour."""
    noise = np.random.default_rng(seed).normal(size=(120, 160)).astype(np.float32)
    clouds = cv2.GaussianBlur(noise, (0, 0), 6)
    spread = (clouds - clouds.min()) / (clouds.max() - clouds.min())
    return np.asarray((40 + 160 * spread[..., None]) * tint, dtype=np.uint8)


def lit(frame: np.ndarray, factor: float | np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(frame * factor + 0.5, 0, 255), dtype=np.uint8)


def grey(change: Change) -> float:
    """The factor of all three colours, which must be nearly the same."""
    assert max(change.gain) == pytest.approx(min(change.gain), rel=0.03)
    return float(np.mean(change.gain))


def gains(frames: list[np.ndarray], last_marked: int = 0) -> list[float]:
    scene = Scene()
    return [grey(scene.advance(frame, marked=n <= last_marked)) for n, frame in enumerate(frames)]


def test_a_jump_of_exposure_is_undone_until_it_goes_back() -> None:
    frame = ground(1)
    found = gains([frame, lit(frame, 0.4), lit(frame, 0.4), frame])
    assert found == [1, pytest.approx(2.5, rel=0.02), pytest.approx(2.5, rel=0.02), 1]
    restored = Change((found[1],) * 3).undone(lit(frame, 0.4))
    assert np.abs(restored.astype(int) - frame).max() <= 4


def test_a_frame_marked_in_other_light_keeps_the_light_of_the_first() -> None:
    frame = ground(1)
    found = gains([frame, *[lit(frame, 0.5)] * 3], last_marked=1)
    assert found == [1, *[pytest.approx(2, rel=0.02)] * 3]


def test_a_slow_change_of_exposure_adds_up() -> None:
    frame = ground(1)
    assert gains([lit(frame, 0.95**n) for n in range(21)])[-1] == pytest.approx(1 / 0.95**20, rel=0.1)


def test_a_jump_of_colour_is_undone() -> None:
    frame, cast = ground(1), np.array([1.2, 1.0, 0.6])
    scene = Scene()
    scene.advance(frame, marked=True)
    change = scene.advance(lit(frame, cast), marked=False)
    assert change.gain == pytest.approx(tuple(1 / cast), rel=0.02)
    assert np.abs(change.undone(lit(frame, cast)).astype(int) - frame).max() <= 4


def test_a_slow_change_of_colour_adds_up() -> None:
    frame = ground(1)
    scene = Scene()
    changes = [scene.advance(lit(frame, np.array([1.0, 1.0, 0.97]) ** n), n == 0) for n in range(21)]
    assert changes[-1].gain == pytest.approx((1, 1, 1 / 0.97**20), rel=0.1)


def test_a_colour_of_which_little_is_left_goes_with_the_others() -> None:
    frame = ground(1, (1.0, 1.0, 0.02))
    assert gains([frame, lit(frame, 0.5)])[1] == pytest.approx(2, rel=0.03)


def test_small_changes_and_moving_content_leave_a_frame_as_it_is() -> None:
    frame = ground(1)
    panning = [np.ascontiguousarray(ground(2)[:, 4 * n : 4 * n + 100]) for n in range(8)]
    assert gains([frame, lit(frame, 0.985), lit(frame, 1.01)]) == [1, 1, 1]
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
    assert [grey(change) for change in changes] == [1, 1, 1, pytest.approx(2, rel=0.03), 1]


def test_exposure_that_leads_away_from_the_marked_frame_is_forgotten() -> None:
    frame = ground(1)
    dark_then_unlike = [
        frame,
        lit(frame, 0.5),
        *[ground(3, (0.9, 1, 1))] * 2,
    ]  # as bright as the marked one again
    assert gains(dark_then_unlike)[2:] == [1, 1]


def test_exposure_is_forgotten_at_a_cut() -> None:
    frame, scene = ground(1, (1, 0.4, 0.3)), Scene()
    frames = [frame, lit(frame, 0.5), lit(ground(5, (0.45, 0.9, 0.6)), 0.35)]
    changes = [scene.advance(shown, marked=n == 0) for n, shown in enumerate(frames)]
    assert [change.cut for change in changes] == [False, False, True]
    assert grey(changes[1]) == pytest.approx(2, rel=0.02)
    assert changes[2].gain == (1, 1, 1)


def test_a_title_card_that_is_nearly_black_is_no_cut() -> None:
    frame, scene = ground(1, (1, 0.4, 0.3)), Scene()
    card = np.zeros_like(frame)
    card[40:80, 60:100] = 200
    assert not any(
        scene.advance(shown, marked=n == 0).cut for n, shown in enumerate([frame, card, card, frame])
    )


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
    assert [grey(change) for change in changes] == [1, 1, pytest.approx(2, rel=0.03)]
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


def test_what_looks_like_nothing_is_strange_far_from_the_object_alone() -> None:
    before = torch.zeros(1, 2, 30, 40)
    before[0, 0, 10:14, 5:9] = 0.9  # a second object is nowhere
    match = torch.full((1, 2, 3, 30, 40), float(np.log(1e-6)) / MATCH_SCALE)
    match[:, :, :2, :, 31:] = float(np.log(1e-3)) / MATCH_SCALE
    match[:, :, 2] = 0.0  # the newest frame by itself proves nothing
    expected = torch.zeros(1, 2, 30, 40, dtype=torch.bool)
    expected[0, 0, :, :31] = True
    expected[0, 0, 4:20, :16] = False
    assert torch.equal(strange(match, before), expected)


def test_objects_are_taken_out_of_cells() -> None:
    logits, coarse = torch.ones(1, 1, 8, 8), torch.ones(1, 1, 2, 2)
    cells = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    cells[..., :2, :3] = True
    left = Decoded(logits, torch.zeros(1), coarse).without(cells)
    assert torch.equal(left.logits < 0, cells.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.equal(left.coarse < 0, torch.tensor([[[[True, False], [False, False]]]]))


@pytest.mark.parametrize("focus", [True, False])
def test_objects_are_not_in_strange_cells(monkeypatch: pytest.MonkeyPatch, focus: bool) -> None:
    asked = []

    def strange_seen(match: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        asked.append(before > 0.5)
        left = torch.zeros(before.shape, dtype=torch.bool)
        left[..., : before.shape[3] // 2] = True
        return left

    monkeypatch.setattr(frame_step, "strange", strange_seen)
    segmenter = Segmenter(colour_network(), replace(CONFIG, focus=focus))
    mask = np.zeros((120, 160), np.uint8)
    mask[20:90, 20:140] = 1
    here = ground(1, (1, 0.4, 0.3))
    found = segmenter.steps([here, here, here], {0: mask})
    assert np.count_nonzero(found[1].labels[:, :70]) == 0 < np.count_nonzero(found[1].labels[:, 90:])
    assert asked[0].any(-2)[..., : asked[0].shape[3] // 2].any()
    assert not asked[-1][..., : asked[-1].shape[3] // 2].any()  # what the frame before shows


def test_frames_of_other_light_are_followed_as_if_it_were_the_same() -> None:
    here = [np.ascontiguousarray(ground(1)[:, n : n + 120]) for n in range(4)]
    mask = np.zeros((120, 120), np.uint8)
    mask[40:80, 40:80] = 1
    dark = [here[0], *[lit(frame, 0.25) for frame in here[1:]]]
    followed = []
    for frames, resumed in ((here, False), (dark, False), (dark, True)):
        segmenter = Segmenter(colour_network(), CONFIG)
        segmenter.steps(frames[:2], {0: mask})
        if resumed:
            state = saved_and_read(segmenter)
            segmenter = Segmenter(colour_network(), CONFIG)
            segmenter.load_state_dict(state)
        followed.append(np.stack([found.soft for found in segmenter.steps(frames[2:])]))
    assert np.abs(followed[1] - followed[0]).max() < 0.002  # rounding: a quarter of the levels is left
    assert np.array_equal(followed[2], followed[1])


@pytest.mark.parametrize("focus", [True, False])
def test_after_a_cut_objects_that_nothing_looks_like_are_nowhere(
    monkeypatch: pytest.MonkeyPatch, focus: bool
) -> None:
    asked = []

    def unlike_seen(logits: torch.Tensor, match: torch.Tensor) -> torch.Tensor:
        asked.append(match.shape[1])
        return torch.tensor([[True, False]])

    monkeypatch.setattr(frame_step, "unlike", unlike_seen)
    segmenter = Segmenter(colour_network(), replace(CONFIG, focus=focus))
    mask = np.zeros((120, 160), np.uint8)
    mask[20:90, 20:70], mask[20:90, 80:140] = 1, 2
    here, elsewhere = ground(1, (1, 0.4, 0.3)), ground(2, (0.3, 0.4, 1))
    found = segmenter.steps([here, here, elsewhere, elsewhere], {0: mask})
    assert asked == [2]  # on the frame after the cut alone
    assert found[2].soft[0].max() < 0.01 < found[2].soft[1].max()


@pytest.mark.parametrize("cut", [True, False])
def test_after_a_cut_labels_travel_as_far_as_they_must(cut: bool) -> None:
    def scene(seed: int, tint: tuple[float, float, float], row: int, column: int) -> np.ndarray:
        frame = ground(seed, tint)
        frame[row : row + 40, column : column + 40] = (200, 30, 30)
        return frame

    mask = np.zeros((120, 160), np.uint8)
    mask[8:48, 8:48] = 1
    here, there = scene(1, (0.3, 0.4, 1), 8, 8), scene(2, (1, 0.4, 0.3) if cut else (0.3, 0.4, 1), 72, 112)
    found = []
    for cells in (0, None):
        memory = MemoryConfig(label_window=cells, newest_window=cells, annotated_window=cells)
        segmenter = Segmenter(colour_network(), replace(CONFIG, size=120, memory=memory))
        found.append(segmenter.steps([here, here, there], {0: mask})[-1].labels[72:112, 112:152])
    near, far = [np.count_nonzero(one) for one in found]
    assert far > 250
    assert near == pytest.approx(far, rel=0.05) if cut else near == 0
