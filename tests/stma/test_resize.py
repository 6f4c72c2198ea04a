"""The resize helpers: pixel centres, dtypes, aspect ratio."""

import cv2
import numpy as np
import pytest
import torch

from stma.errors import SettingsError
from stma.resize import (
    averages,
    covered_shares,
    model_size,
    resize_frame,
    resize_labels,
    size_for_objects,
    whole_squares,
    working_size,
)
from stma.resize_on_device import resize_frames_on_device


def checkerboard(height: int, width: int) -> np.ndarray:
    return (np.add.outer(np.arange(height), np.arange(width)) % 2).astype(np.uint8)


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_growing_repeats_each_pixel_of_a_checkerboard(factor: int) -> None:
    board = checkerboard(5, 7)
    expected = np.kron(board, np.ones((factor, factor), dtype=np.uint8))
    np.testing.assert_array_equal(resize_labels(board, 5 * factor, 7 * factor), expected)


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_shrinking_takes_the_centre_pixel(factor: int) -> None:
    labels = np.arange(6 * factor * 4 * factor).reshape(6 * factor, 4 * factor)
    np.testing.assert_array_equal(
        resize_labels(labels, 6, 4), labels[factor // 2 :: factor, factor // 2 :: factor]
    )


def test_growing_and_shrinking_back_is_lossless() -> None:
    labels = np.random.default_rng(0).integers(0, 900, (31, 47), dtype=np.uint16)
    for factor in (2, 3, 4, 7):
        grown = resize_labels(labels, 31 * factor, 47 * factor)
        np.testing.assert_array_equal(resize_labels(grown, 31, 47), labels)


def test_a_flipped_map_gives_a_flipped_result_when_centres_are_unambiguous() -> None:
    labels = np.random.default_rng(1).integers(0, 5, (21, 35), dtype=np.uint8)
    shrunk = resize_labels(labels, 7, 5)
    np.testing.assert_array_equal(resize_labels(labels[::-1, ::-1], 7, 5), shrunk[::-1, ::-1])


def test_labels_agree_with_nearest_exact_of_opencv() -> None:
    labels = np.random.default_rng(2).integers(0, 255, (37, 53), dtype=np.uint8)
    for height, width in [(101, 20), (18, 90), (36, 52), (480, 853)]:
        expected = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        np.testing.assert_array_equal(resize_labels(labels, height, width), expected)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_labels_keep_their_type(dtype: type) -> None:
    resized = resize_labels(np.ones((4, 6), dtype=dtype), 9, 5)
    assert resized.dtype == dtype
    assert resized.shape == (9, 5)


def test_frames_average_when_they_shrink_and_interpolate_when_they_grow() -> None:
    board = np.repeat((checkerboard(8, 8) * 200)[..., None], 3, axis=2)
    np.testing.assert_array_equal(resize_frame(board, 4, 4), np.full((4, 4, 3), 100, dtype=np.uint8))
    ramp = np.repeat(np.array([[0, 100]], dtype=np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(resize_frame(ramp, 1, 4)[0, :, 0], [0, 25, 75, 100])


def test_frames_that_hardly_shrink_look_like_their_averages() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (48, 854, 3), dtype=np.uint8)
    averages = cv2.resize(noise, (848, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(resize_frame(noise, 48, 848).astype(int) - averages).max() <= 3
    half = cv2.resize(noise, (427, 48), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(resize_frame(noise, 48, 427), half)


@pytest.mark.parametrize(("size", "squares"), [((96, 160), 2), ((168, 280), 4), ((105, 175), 1)])
def test_whole_pixels_are_averaged_first_where_a_frame_is_made_of_them(
    size: tuple[int, int], squares: int
) -> None:
    target = (40, 68)
    assert whole_squares(size, target) == squares
    ramp = np.linspace(0, 255, size[1]).round().astype(np.uint8)
    frame = np.repeat(np.tile(ramp, (size[0], 1))[..., None], 3, axis=2)
    averages = cv2.resize(frame, target[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(resize_frame(frame, *target).astype(int) - averages).max() <= 1


def test_frames_keep_their_channel_order() -> None:
    frame = np.zeros((10, 10, 3), dtype=np.uint8)
    frame[..., 0] = 250
    assert resize_frame(frame, 23, 5)[0, 0].tolist() == [250, 0, 0]


@pytest.mark.parametrize(
    ("size", "shorter_side", "expected"),
    [
        ((1080, 1920), 480, (480, 853)),
        ((1920, 1080), 480, (853, 480)),
        ((240, 320), 480, (480, 640)),
        ((1081, 1921), None, (1081, 1921)),
        ((100, 5000), 1, (16, 50)),
        ((9, 12), None, (16, 16)),
    ],
)
def test_working_size(size: tuple[int, int], shorter_side: int | None, expected: tuple[int, int]) -> None:
    assert working_size(*size, shorter_side) == expected


def test_impossible_sizes_and_arrays_are_named() -> None:
    with pytest.raises(SettingsError, match="0x5 is impossible"):
        resize_labels(np.zeros((4, 4), dtype=np.uint8), 5, 0)
    with pytest.raises(SettingsError, match=r"shape \(H, W\)"):
        resize_labels(np.zeros((4, 4, 3), dtype=np.uint8), 5, 5)
    with pytest.raises(SettingsError, match="uint8"):
        resize_frame(np.zeros((4, 4, 3), dtype=np.float32), 5, 5)
    with pytest.raises(SettingsError, match="such as 480"):
        working_size(10, 10, 0)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((48, 85), (48, 80)),
        ((90, 160), (22, 40)),
        ((37, 53), (18, 17)),
        ((24, 31), (48, 64)),
        ((40, 30), (32, 48)),
        ((96, 160), (40, 68)),
        ((96, 128), (95, 127)),
        ((40, 30), (40, 30)),
    ],
)
def test_a_device_resizes_alike(source: tuple[int, int], target: tuple[int, int]) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (*source, 3), dtype=np.uint8)
    there = resize_frames_on_device(torch.from_numpy(np.stack([frame, frame[::-1]])), *target)
    assert there.shape == (2, *target, 3)
    for seen, given in zip(there.numpy(), (frame, np.ascontiguousarray(frame[::-1])), strict=True):
        expected = resize_frame(given, *target).astype(float)
        assert np.abs(seen - expected).max() <= 1
        assert (
            abs(float((seen - expected).mean())) < 0.15
        )  # OpenCV, which enlarges in whole numbers, loses 0.12


@pytest.mark.parametrize(("height", "width"), [(30, 40), (13, 17), (60, 7), (1, 1)])
def test_shares_of_a_mask_are_means_of_its_pixels(height: int, width: int) -> None:
    mask = np.random.default_rng(0).random((60, 80)) < 0.3
    shares = covered_shares(mask, height, width)
    repeated = np.kron(mask, np.ones((height, width), dtype=bool))  # (60 * height, 80 * width)
    expected = repeated.reshape(height, 60, width, 80).mean((1, 3))
    np.testing.assert_allclose(shares, expected, atol=1e-5)
    assert shares.dtype == np.float32
    assert covered_shares(np.ones((60, 80), bool), height, width).max() <= 1


def squares(*sides: int) -> np.ndarray:
    """(360, 640) ids of squares with these sides."""
    labels = np.zeros((360, 640), np.int32)
    for number, side in enumerate(sides, start=1):
        labels[10 : 10 + side, 100 * number : 100 * number + side] = number
    return labels


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ((), 480),
        ((90,), 480),
        ((57,), 480),
        ((50,), 600),
        ((38,), 600),
        ((5,), 600),
        ((20, 90), 480),
        ((30, 40), 600),
        ((30, 60), 600),  # the mean counts
    ],
)
def test_small_objects_are_looked_at_on_a_larger_picture(sides: tuple[int, ...], size: int) -> None:
    assert size_for_objects(squares(*sides)) == size


def test_what_counts_is_the_share_of_the_frame_and_not_its_pixels() -> None:
    large = np.repeat(np.repeat(squares(50), 3, axis=0), 3, axis=1)
    assert size_for_objects(large) == size_for_objects(squares(50)) == 600


@pytest.mark.parametrize(
    ("size", "shorter", "expected"),
    [
        ((480, 854), 480, (480, 848)),
        ((100, 200), 480, (304, 608)),  # no more than three times as large
        ((720, 1280), 240, (240, 432)),  # 426.7, to the nearest multiple of 16
        ((9, 200), None, (16, 208)),
    ],
)
def test_the_model_works_at_multiples_of_16(
    size: tuple[int, int], shorter: int | None, expected: tuple[int, int]
) -> None:
    assert model_size(*size, shorter) == expected


def test_only_what_shrinks_in_both_directions_is_averaged() -> None:
    assert averages((100, 100), (50, 100))
    assert not averages((100, 100), (50, 101))
    assert not averages((100, 100), (99, 99)), "hardly at all"


def test_whole_squares_fill_both_sides() -> None:
    assert whole_squares((96, 100), (40, 45)) == 2
    assert whole_squares((96, 99), (40, 45)) == 1
    assert whole_squares((96, 96), (20, 20)) == 4
