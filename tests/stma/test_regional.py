"""Looking at parts of frames: which frames are looked at as a whole, and that masks stay what they are."""

import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from colour_network import colour_network

from stma.config import SegmenterConfig
from stma.frame_step import Chunk, ChunkInputs, FrameInputs, FrameResult, ModelSteps
from stma.scene import Change, Scene
from stma.segmenter import Segmenter
from stma.synthetic import SyntheticScene
from stma.weights import load_model

HEIGHT, WIDTH = 384, 512
WHOLE = (HEIGHT, WIDTH)
PART = (256, 256)


def scene(index: int, place: tuple[int, int] = (120, 150), pan: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A disc that moves over a textured background, (H, W, 3) and its (H, W) label map."""
    background, _ = SyntheticScene(HEIGHT, 2 * WIDTH, 0, seed=3).frame(0)
    pixels = np.roll(background, -pan, axis=1)[:, :WIDTH].copy()
    labels = np.zeros(WHOLE, np.int32)
    centre = (place[0] + 4 * index, place[1] + 2 * index)
    cv2.circle(labels, centre, 34, 1, -1)
    pixels[labels > 0] = (230, 60, 40)
    cv2.circle(pixels, centre, 14, (30, 200, 220), -1)
    return pixels, labels


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Sizes of all frames and parts that were embedded."""
    seen: list[tuple[int, int]] = []
    embed = ModelSteps.embed

    def counted(self: ModelSteps, inputs: ChunkInputs) -> Chunk:
        seen.append(inputs.size)
        return embed(self, inputs)

    monkeypatch.setattr(ModelSteps, "embed", counted)
    return seen


def segmenter(focus: bool = True) -> Segmenter:
    return Segmenter(
        load_model("small").model, SegmenterConfig(size=None, device="cpu", precision="fp32", focus=focus)
    )


def test_a_frame_that_may_not_be_written_is_taken_without_a_warning() -> None:
    each = segmenter()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for index in range(2):
                frame, labels = scene(index)
                frame.flags.writeable = False
                each.step(frame, None if index else labels)
    finally:
        torch.set_warn_always(False)


def test_parts_of_frames_give_the_masks_of_whole_frames(sizes: list[tuple[int, int]]) -> None:
    frames = [scene(index) for index in range(12)]
    parts, wholes = (
        [
            each.step(frame, labels if index == 0 else None).labels
            for index, (frame, labels) in enumerate(frames)
        ]
        for each in (segmenter(), segmenter(focus=False))
    )
    kept = {5, 10}
    expected = [WHOLE if index < 2 or index in kept or index + 1 in kept else PART for index in range(12)]
    assert sizes == expected + [WHOLE] * 12
    for (_, truth), mine, theirs in zip(frames, parts, wholes, strict=True):
        assert np.count_nonzero(mine != theirs) <= 0.03 * np.count_nonzero(truth)
        assert np.count_nonzero((mine > 0) & (truth > 0)) >= 0.9 * np.count_nonzero((mine > 0) | (truth > 0))


def test_a_frame_to_which_the_camera_moved_fast_is_looked_at_as_a_whole(
    sizes: list[tuple[int, int]],
) -> None:
    follower = segmenter()
    for index, pan in enumerate((0, 0, 0, 70)):
        frame, labels = scene(index, pan=pan)
        follower.step(frame, labels if index == 0 else None)
    assert sizes == [WHOLE, WHOLE, PART, WHOLE]


@pytest.mark.parametrize(("corrected", "cut"), [(2, None), (None, 3), (None, None)])
def test_the_frame_after_a_correction_and_the_first_of_another_scene_are_looked_at_as_a_whole(
    sizes: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    corrected: int | None,
    cut: int | None,
) -> None:
    frame, _ = SyntheticScene(160, 160, 0, seed=3).frame(0)
    labels = np.zeros(frame.shape[:2], np.uint8)
    labels[68:92, 68:92] = 1
    frame[labels > 0] = (230, 60, 40)
    cuts = iter(Change(cut=index == cut) for index in range(4))
    monkeypatch.setattr(Scene, "advance", lambda *_: next(cuts))
    follower = Segmenter(colour_network(), SegmenterConfig(size=None, device="cpu", precision="fp32"))
    for index in range(4):
        follower.step(frame, labels if index in (0, corrected) else None)
    assert sizes[:2] == [(160, 160)] * 2
    assert sizes[3] == ((128, 128) if corrected is None and cut is None else (160, 160))


def test_an_object_at_the_border_of_its_part_is_looked_for_on_the_whole_frame(
    sizes: list[tuple[int, int]],
) -> None:
    follower = segmenter()
    for index, place in enumerate(((120, 150), (120, 150), (120, 150), (205, 150))):
        frame, labels = scene(index, place)
        result = follower.step(frame, labels if index == 0 else None)
    assert sizes == [WHOLE, WHOLE, PART, PART, WHOLE]
    found, truth = result.labels > 0, labels > 0
    assert np.count_nonzero(found & truth) >= 0.8 * np.count_nonzero(found | truth)


def test_an_object_that_jumps_out_of_its_part_is_looked_for_on_the_whole_frame(
    sizes: list[tuple[int, int]],
) -> None:
    follower = segmenter()
    for index, place in enumerate(((120, 150), (120, 150), (120, 150), (400, 150))):
        frame, labels = scene(index, place)
        result = follower.step(frame, labels if index == 0 else None)
    assert sizes == [WHOLE, WHOLE, PART, PART, WHOLE]
    found, truth = result.labels > 0, labels > 0
    assert np.count_nonzero(found & truth) >= 0.8 * np.count_nonzero(found | truth)


def test_the_frame_after_one_on_which_the_readout_finds_more_is_looked_at_as_a_whole(
    sizes: list[tuple[int, int]],
) -> None:
    follower = segmenter()
    for index in range(4):
        frame, labels = scene(index)
        if index == 2:  # as if a part of the object had come back in a corner
            assert follower._regional is not None
            assert follower._regional.before is not None
            follower._regional.before.found[-1, -1] = True
        follower.step(frame, labels if index == 0 else None)
    assert sizes == [WHOLE, WHOLE, WHOLE, PART]


def test_what_the_readout_finds_of_any_object_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    predict = ModelSteps.predict

    def of_the_second(self: ModelSteps, inputs: FrameInputs) -> FrameResult:
        coarse = torch.full((2, 6, 8), -1.0)
        coarse[1, 5, 7] = 1.0
        return replace(predict(self, inputs), coarse=coarse)

    monkeypatch.setattr(ModelSteps, "predict", of_the_second)
    config = SegmenterConfig(size=None, device="cpu", precision="fp32")
    follower, two = Segmenter(colour_network(), config), SyntheticScene(96, 128, 2)
    follower.step(*two.frame(0))
    follower.step(two.frame(1)[0])
    assert follower._regional is not None
    assert follower._regional.before is not None
    assert np.argwhere(follower._regional.before.found).tolist() == [[5, 7]]


def test_a_lost_object_is_looked_for_on_whole_frames(sizes: list[tuple[int, int]]) -> None:
    follower = segmenter()
    for index in range(5):
        frame, labels = scene(index) if index < 3 else scene(index, (-400, 150))
        result = follower.step(frame, labels if index == 0 else None)
    assert not result.labels.any()
    assert sizes[-1] == WHOLE


def test_a_run_that_was_interrupted_goes_on_with_parts(sizes: list[tuple[int, int]]) -> None:
    frames = [scene(index) for index in range(9)]
    whole = segmenter()
    for index in range(7):
        whole.step(frames[index][0], frames[index][1] if index == 0 else None)
    resumed = segmenter()
    resumed.load_state_dict(whole.state_dict())
    sizes.clear()
    for frame, _ in frames[7:]:
        mine, theirs = resumed.step(frame), whole.step(frame)
        assert np.array_equal(mine.labels, theirs.labels)
        assert np.array_equal(mine.soft, theirs.soft)
    assert sizes == [PART] * 4


def test_a_run_that_was_rewound_looks_at_what_a_fresh_one_looks_at(sizes: list[tuple[int, int]]) -> None:
    frames = [scene(index) for index in range(5)]
    rewound, fresh = segmenter(), segmenter()
    rewound.step(*frames[0])
    state = rewound.state_dict()
    for frame, _ in frames[1:]:
        rewound.step(frame)
    fresh.load_state_dict(state)
    rewound.load_state_dict(state)
    sizes.clear()
    for frame, _ in frames[1:3]:
        expected, found = fresh.step(frame), rewound.step(frame)
        assert np.array_equal(found.labels, expected.labels)
        assert np.array_equal(found.soft, expected.soft)
    assert sizes == [WHOLE] * 2 + [PART] * 2
