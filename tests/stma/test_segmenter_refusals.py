"""What `Segmenter` refuses, and that this changes nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from colour_network import colour_network
from segmenting import CONFIG, first_mask, moving_frames, saved_and_read

from stma.config import SegmenterConfig
from stma.errors import DeviceError, MaskError, SettingsError, VideoError
from stma.network.model import STMA
from stma.segmenter import Segmenter


@pytest.fixture(scope="module")
def model() -> STMA:
    return colour_network()


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return moving_frames()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(CONFIG, size=80), r"working size \(48, 64\), not \(80, 112\); use it"),
        (replace(CONFIG, precision="bf16"), "precision fp32, not bf16; use it"),
        (replace(CONFIG, adapt=1), "adapt 0, not 1; use it"),
    ],
)
def test_a_state_of_other_settings_is_refused(
    model: STMA, frames: list[np.ndarray], config: SegmenterConfig, message: str
) -> None:
    first, second = Segmenter(model, CONFIG), Segmenter(model, config)
    first.step(frames[0], first_mask())
    with pytest.raises(SettingsError, match=message):
        second.load_state_dict(saved_and_read(first))
    assert second.object_ids == ()
    assert second.bank.empty


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((10, 10), np.uint8), "height and width"),
        (np.zeros((61, 83), np.float32), "integer"),
        (np.full((61, 83), -2, np.int32), "1 to 65535"),
        (np.full((61, 83), 70000, np.int32), "1 to 65535"),
    ],
)
def test_unusable_masks_are_refused(
    model: STMA, frames: list[np.ndarray], mask: np.ndarray, message: str
) -> None:
    with pytest.raises(MaskError, match=message):
        Segmenter(model, CONFIG).step(frames[0], mask)


def test_a_refused_mask_changes_nothing(model: STMA, frames: list[np.ndarray]) -> None:
    plain, refused = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    late = np.where(first_mask() == 7, 9, 0)
    masks = {1: late, 3: np.zeros((61, 83), np.uint8)}  # the second names none of the objects known by then
    expected = plain.step(frames[0], first_mask())
    with pytest.raises(MaskError, match="mask of frame 3 names no object"):
        refused.steps(frames[:4], {0: first_mask(), **masks})
    assert refused.frame_index == 0
    found = refused.step(frames[0], first_mask())
    assert np.array_equal(found.soft, expected.soft)
    with pytest.raises(MaskError, match="mask of frame 4 names no object"):
        refused.steps(frames[1:5], masks)
    assert refused.object_ids == (3, 7)
    for one, other in zip(plain.steps(frames[1:5]), refused.steps(frames[1:5]), strict=True):
        assert np.array_equal(one.soft, other.soft)


@pytest.mark.parametrize(("count", "position"), [(2, 2), (2, -1), (0, 0)])
def test_masks_beyond_the_chunk_are_refused(
    model: STMA, frames: list[np.ndarray], count: int, position: int
) -> None:
    with pytest.raises(MaskError, match=rf"positions \[{position}\] of a chunk of {count} frames; count"):
        Segmenter(model, CONFIG).steps(frames[:count], {position: first_mask()})


def test_mask_with_undeclared_ids_is_refused(model: STMA, frames: list[np.ndarray]) -> None:
    with pytest.raises(MaskError, match="object_ids"):
        Segmenter(model, CONFIG).step(frames[0], first_mask(), object_ids=(3,))


@pytest.mark.parametrize(
    "object_ids", [(0, 3, 7), (3, 7, 7), (-1, 3, 7), (3, 7, 70000), (3.0, 7.0), (3, 7, 2.5), ("3", "7"), 3]
)
def test_impossible_object_ids_are_refused(model: STMA, frames: list[np.ndarray], object_ids: Any) -> None:
    segmenter = Segmenter(model, CONFIG)
    with pytest.raises(MaskError, match="different whole numbers of 1 to 65535"):
        segmenter.step(frames[0], first_mask(), object_ids)
    assert segmenter.bank.empty


def test_no_object_ids_do_not_go_with_a_mask_of_objects(model: STMA, frames: list[np.ndarray]) -> None:
    with pytest.raises(MaskError, match="add them to object_ids"):
        Segmenter(model, CONFIG).step(frames[0], first_mask(), object_ids=())


def test_frames_of_another_size_or_type_are_refused(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    segmenter.step(frames[0], first_mask())
    with pytest.raises(VideoError, match="one size"):
        segmenter.step(frames[1][:50])
    with pytest.raises(VideoError, match="uint8 RGB"):
        segmenter.step(frames[1].astype(np.float32))


@pytest.mark.parametrize("frame", [None, [[[0, 0, 0]]]])
def test_what_is_no_array_is_refused_as_a_frame(model: STMA, frame: Any) -> None:
    segmenter = Segmenter(model, CONFIG)
    with pytest.raises(VideoError, match=f"frame 0 is no array but of type {type(frame).__name__}; give"):
        segmenter.step(frame)
    assert segmenter.frame_index == 0


def test_a_refused_frame_leaves_no_mask_behind(model: STMA, frames: list[np.ndarray]) -> None:
    plain, refused = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    for segmenter in (plain, refused):
        segmenter.step(frames[0], first_mask())
    with pytest.raises(VideoError, match="frame 1 is 83x50"):
        refused.step(frames[1][:50], np.where(first_mask() == 7, 9, 0))
    with pytest.raises(VideoError, match="frame 2 is 83x50"):
        refused.steps([frames[1], frames[2][:50]])
    found, expected = refused.step(frames[1]), plain.step(frames[1])
    assert found.object_ids == (3, 7)
    assert np.array_equal(found.soft, expected.soft)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (5, 5, 4), (5, 5)])
def test_a_refused_first_frame_says_nothing_about_the_size(
    model: STMA, frames: list[np.ndarray], shape: tuple[int, ...]
) -> None:
    segmenter = Segmenter(model, CONFIG)
    with pytest.raises(VideoError, match="1 pixel or more"):
        segmenter.step(np.zeros(shape, np.uint8))
    with pytest.raises(VideoError, match="one size"):
        segmenter.steps([frames[0], frames[1][:50]])
    with pytest.raises(MaskError, match="height and width"):
        segmenter.step(frames[0][:50], first_mask())
    assert segmenter.frame_size is None
    assert segmenter.step(frames[0], first_mask()).object_ids == (3, 7)


def test_impossible_settings_are_refused(model: STMA) -> None:
    with pytest.raises(SettingsError, match="size"):
        SegmenterConfig(size=8)
    with pytest.raises(SettingsError, match="unknown"):
        Segmenter(model, SegmenterConfig(device="abacus"))
    with pytest.raises(SettingsError, match="fp16"):
        Segmenter(model, SegmenterConfig(device="cpu", precision="fp16"))
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="use the device cpu"):
            Segmenter(model, SegmenterConfig(device="cuda"))


def test_another_mask_may_take_the_place_of_a_refused_one(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    with pytest.raises(MaskError, match="integer"):
        segmenter.step(frames[0], first_mask().astype(np.float32))
    for _ in range(2):
        with pytest.raises(MaskError, match="height and width"):
            segmenter.step(frames[0], first_mask()[:50])
    assert segmenter.step(frames[0], first_mask()).object_ids == (3, 7)
    assert segmenter.step(frames[1]).confidence[3] < 1


def test_a_mask_that_does_not_fit_the_frames_so_far_leaves_the_next_frame_as_it_was(
    model: STMA, frames: list[np.ndarray]
) -> None:
    plain, refused = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    for segmenter in (plain, refused):
        segmenter.step(frames[0], first_mask())
    with pytest.raises(MaskError, match=r"mask of frame 1 has shape .* height and width"):
        refused.step(frames[1], first_mask()[:50])
    assert np.array_equal(refused.step(frames[1]).soft, plain.step(frames[1]).soft)
