"""Post-processing of label maps: each step, their order, and streams of as many frames as came in."""

from collections.abc import Iterator

import numpy as np
import pytest

from stma.errors import SettingsError
from stma.postprocess import PostprocessConfig, clean_labels, postprocessed


def plane(*boxes: tuple[int, int, int, int, int], dtype: type = np.uint8) -> np.ndarray:
    """(30, 40) with boxes of (id, top, left, height, width)."""
    labels = np.zeros((30, 40), dtype)
    for object_id, top, left, height, width in boxes:
        labels[top : top + height, left : left + width] = object_id
    return labels


def cleaned(labels: np.ndarray, **steps: int | bool) -> np.ndarray:
    before = labels.copy()
    result = clean_labels(labels, PostprocessConfig(**steps))  # type: ignore[arg-type]
    np.testing.assert_array_equal(labels, before)
    assert result.dtype == labels.dtype
    return result


def stream(planes: list[np.ndarray], **steps: int | bool) -> list[np.ndarray]:
    pairs = list(postprocessed(enumerate(planes), PostprocessConfig(**steps)))  # type: ignore[arg-type]
    assert [place for place, _ in pairs] == list(range(len(planes)))
    return [labels for _, labels in pairs]


def test_specks_go_and_the_largest_part_stays_however_small() -> None:
    body, small = (1, 2, 2, 10, 10), (300, 20, 30, 2, 2)
    labels = plane(body, (1, 20, 5, 2, 2), (1, 25, 5, 3, 3), small, dtype=np.uint16)
    expected = plane(body, (1, 25, 5, 3, 3), small, dtype=np.uint16)
    np.testing.assert_array_equal(cleaned(labels, remove_specks=5), expected)


def test_a_part_of_the_smallest_size_stays() -> None:
    labels = plane((1, 2, 2, 10, 10), (1, 20, 20, 2, 2))
    np.testing.assert_array_equal(cleaned(labels, remove_specks=4), labels)
    np.testing.assert_array_equal(cleaned(labels, remove_specks=5), plane((1, 2, 2, 10, 10)))


def test_specks_that_touch_at_a_corner_belong_to_the_object() -> None:
    labels = plane((1, 2, 2, 10, 10), (1, 12, 12, 1, 1))
    np.testing.assert_array_equal(cleaned(labels, remove_specks=5), labels)


def test_holes_of_one_object_are_filled() -> None:
    labels = plane((7, 2, 2, 20, 20), (0, 5, 5, 2, 3), (0, 12, 5, 4, 4), (0, 10, 15, 1, 1))
    expected = plane((7, 2, 2, 20, 20), (0, 12, 5, 4, 4))
    np.testing.assert_array_equal(cleaned(labels, fill_holes=6), expected)


def test_a_gap_between_two_objects_or_at_the_border_is_no_hole() -> None:
    between = plane((1, 2, 2, 20, 10), (2, 2, 12, 20, 10), (0, 8, 11, 2, 2))
    np.testing.assert_array_equal(cleaned(between, fill_holes=50), between)
    border = plane((1, 0, 0, 30, 40), (0, 0, 10, 2, 2), (0, 10, 38, 2, 2))
    np.testing.assert_array_equal(cleaned(border, fill_holes=50), border)


def test_a_gap_in_a_diagonal_line_leaks_nothing() -> None:
    labels = plane((1, 2, 2, 10, 10), (0, 5, 5, 2, 2), (0, 7, 7, 1, 1), (0, 8, 8, 1, 4))
    filled = cleaned(labels, fill_holes=5)
    assert filled[5:7, 5:7].all()
    assert filled[7, 7], "holes that touch at a corner are apart"
    assert not filled[8, 8], "and this one is open"


def test_holes_are_filled_before_the_largest_part_is_told() -> None:
    ring = ((1, 2, 2, 6, 6), (0, 3, 3, 4, 4))  # 20 pixels, 36 with its hole
    result = cleaned(plane(*ring, (1, 20, 20, 5, 5)), fill_holes=16, largest_part=True)
    np.testing.assert_array_equal(result, plane((1, 2, 2, 6, 6)))


def test_only_the_largest_part_of_each_object() -> None:
    labels = plane((1, 2, 2, 5, 5), (1, 20, 2, 6, 6), (2, 2, 20, 4, 4), (2, 20, 20, 3, 3))
    expected = plane((1, 20, 2, 6, 6), (2, 2, 20, 4, 4))
    np.testing.assert_array_equal(cleaned(labels, largest_part=True), expected)


def test_growing_takes_background_only_and_meets_half_way() -> None:
    labels = plane((1, 5, 2, 10, 8), (2, 5, 16, 10, 8))  # six pixels of background between them
    grown = cleaned(labels, grow=4)
    assert grown[10, 1:28].tolist() == [1] * 12 + [2] * 15
    assert (grown[labels > 0] == labels[labels > 0]).all()
    assert grown[1, 5] == 1
    assert grown[0, 5] == 0


def test_what_is_equally_near_to_two_objects_goes_to_the_smaller_id() -> None:
    grown = cleaned(plane((2, 5, 2, 10, 8), (1, 5, 15, 10, 8)), grow=4)  # five pixels between them
    assert grown[10, 8:17].tolist() == [2] * 4 + [1] * 5


def test_shrinking_leaves_the_border_of_the_frame() -> None:
    labels = plane((1, 0, 0, 12, 12))
    np.testing.assert_array_equal(cleaned(labels, grow=-2), plane((1, 0, 0, 10, 10)))
    np.testing.assert_array_equal(cleaned(plane((1, 5, 5, 4, 20)), grow=-2), plane())
    full = plane((1, 0, 0, 30, 40))
    np.testing.assert_array_equal(cleaned(full, grow=-2), full)


def test_shrinking_undoes_growing_of_a_box() -> None:
    labels = plane((1, 10, 10, 8, 12))
    np.testing.assert_array_equal(cleaned(cleaned(labels, grow=3), grow=-3), labels)


def test_steps_follow_their_order() -> None:
    labels = plane((1, 5, 5, 10, 10), (0, 8, 8, 1, 1), (1, 25, 30, 1, 1))
    result = cleaned(labels, remove_specks=4, fill_holes=4, largest_part=True, grow=1)
    np.testing.assert_array_equal(result, cleaned(plane((1, 5, 5, 10, 10)), grow=1))


def test_smoothing_takes_out_a_flicker_and_keeps_a_lasting_change() -> None:
    still, gone = plane((1, 5, 5, 4, 4)), plane()
    changed = plane((300, 5, 5, 4, 4), dtype=np.uint16)
    result = stream([still, still, gone, still, still, changed, changed, changed], smooth=1)
    assert [int(labels[6, 6]) for labels in result] == [1, 1, 1, 1, 1, 300, 300, 300]


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_smoothing_is_a_strict_majority_of_the_frames_around(radius: int) -> None:
    generator = np.random.default_rng(radius)
    planes = [generator.integers(0, 3, (6, 7), dtype=np.uint8) for _ in range(9)]
    for place, labels in enumerate(stream(planes, smooth=radius)):
        around = np.stack(planes[max(0, place - radius) : place + radius + 1])
        expected = planes[place].copy()
        for object_id in range(3):
            expected[(around == object_id).sum(0) * 2 > len(around)] = object_id
        np.testing.assert_array_equal(labels, expected)


def test_settled_frames_vote_and_stay() -> None:
    planes = [plane(), plane((1, 5, 5, 4, 4)), plane(), plane((1, 5, 5, 4, 4)), plane()]
    config = PostprocessConfig(smooth=1)
    result = [
        labels[6, 6] for _, labels in postprocessed(enumerate(planes), config, lambda place: place == 1)
    ]
    assert result == [0, 1, 1, 0, 0]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 12])
@pytest.mark.parametrize("radius", [0, 1, 4])
def test_as_many_frames_come_out_as_go_in(count: int, radius: int) -> None:
    planes = [plane((1, 5, 5 + place, 4, 4)) for place in range(count)]
    assert len(stream(planes, smooth=radius, remove_specks=2)) == count


def test_smoothing_looks_ahead_no_further_than_it_must() -> None:
    taken = 0

    def counted() -> Iterator[tuple[int, np.ndarray]]:
        nonlocal taken
        for place in range(50):
            taken += 1
            yield place, plane()

    for place, _ in postprocessed(counted(), PostprocessConfig(smooth=3)):
        assert taken <= place + 4


def test_off_is_off() -> None:
    labels = plane((1, 5, 5, 4, 4))
    config = PostprocessConfig()
    assert not config.on
    assert config.steps == ()
    assert clean_labels(labels, config) is labels


def test_steps_say_what_they_do() -> None:
    assert PostprocessConfig(smooth=2, fill_holes=9, grow=-1).steps == (
        "smoothing over 5 frames",
        "holes up to 9 px filled",
        "objects shrunk by 1 px",
    )


@pytest.mark.parametrize("steps", [{"smooth": -1}, {"smooth": 16}, {"remove_specks": -3}, {"fill_holes": -1}])
def test_impossible_steps_are_refused(steps: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="use"):
        PostprocessConfig(**steps)  # type: ignore[arg-type]
