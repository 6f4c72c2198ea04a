"""Overlays: the right pixels get the right colours, names are readable and inside the frame."""

import numpy as np
import pytest

from stma.palette import davis_palette
from stma_cli.rendering.overlay import OverlayRenderer, colour_indices, object_colour

GREY = np.full((120, 160, 3), 100, dtype=np.uint8)


def square(object_id: int = 1, dtype: type = np.uint8) -> np.ndarray:
    labels = np.zeros((120, 160), dtype=dtype)
    labels[40:80, 50:100] = object_id
    return labels


def plain(alpha: float = 0.5) -> OverlayRenderer:
    return OverlayRenderer(alpha=alpha, outline=False, show_names=False)


def test_objects_are_mixed_with_their_palette_colour() -> None:
    frame = GREY.copy()
    picture = plain(0.25).render(frame, square(3))
    expected = 0.75 * 100 + 0.25 * davis_palette()[3].astype(float)
    assert np.abs(picture[40:80, 50:100] - expected).max() <= 1
    outside = square() == 0
    assert np.array_equal(picture[outside], GREY[outside])
    assert np.array_equal(frame, GREY)
    assert picture.dtype == np.uint8


def test_colours_are_rgb() -> None:
    picture = plain(1).render(GREY, square(1))
    assert picture[60, 75].tolist() == [128, 0, 0]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
def test_large_ids_are_never_black(dtype: type) -> None:
    for object_id in (255, 256, 510, 511, 512, 4000):
        assert 1 <= colour_indices(np.array(object_id)) <= 255
        picture = plain(1).render(GREY, square(object_id, dtype))
        assert tuple(picture[60, 75]) == object_colour(object_id) != (0, 0, 0)


def test_outline_surrounds_each_object_but_not_the_frame() -> None:
    labels = square(1)
    labels[40:80, 100:120] = 2
    labels[100:, 60:90] = 3
    renderer = OverlayRenderer(alpha=0, show_names=False)
    changed = (renderer.render(GREY, labels) != GREY).any(axis=2)
    assert changed[40, 50:120].all()
    assert changed[79, 50:120].all()
    assert changed[40:80, 50].all()
    assert changed[40:80, 99].all()
    assert changed[40:80, 100].all()
    assert not changed[50:70, 60:90].any()
    assert changed[100, 60:90].all()
    assert not changed[119, 65:85].any()
    assert not changed[labels == 0].any()


def test_outline_separates_objects_of_the_same_colour() -> None:
    labels = square(1, np.uint16)
    labels[40:80, 100:120] = 256
    picture = OverlayRenderer(alpha=0, show_names=False).render(GREY, labels)
    assert (picture[60, 99] != 100).any()
    assert (picture[60, 100] != 100).any()


def test_name_is_above_the_object() -> None:
    with_name = OverlayRenderer({1: "cat"}, outline=False).render(GREY, square())
    changed = (with_name != plain().render(GREY, square())).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert rows.max() < 40
    assert rows.min() > 10
    assert abs(columns.mean() - 75) < 3


def test_text_stands_out_from_its_tag() -> None:
    for object_id in (1, 7, 8, 16, 255):
        picture = OverlayRenderer({object_id: "HHHH"}, alpha=0, outline=False).render(GREY, square(object_id))
        tag = picture[15:40, 50:100].reshape(-1, 3).astype(int)
        colour = np.array(object_colour(object_id))
        assert np.abs(tag - colour).sum(axis=1).max() > 300


@pytest.mark.parametrize(
    "box", [(0, 5, 0, 5), (0, 5, 155, 160), (115, 120, 0, 5), (115, 120, 155, 160), (0, 120, 0, 160)]
)
def test_names_stay_inside_the_frame(box: tuple[int, int, int, int]) -> None:
    labels = np.zeros((120, 160), dtype=np.uint8)
    labels[box[0] : box[1], box[2] : box[3]] = 1
    renderer = OverlayRenderer({1: "grandmother"}, outline=False)
    changed = (renderer.render(GREY, labels) != plain().render(GREY, labels)).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert np.ptp(rows) > 10
    assert np.ptp(columns) > 60


def test_names_do_not_cover_each_other() -> None:
    labels = square(1)
    labels[40:80, 70:100] = 2
    alone = OverlayRenderer({1: "first", 2: "second"}, alpha=0, outline=False)
    picture = alone.render(GREY, labels).reshape(-1, 3)
    for object_id in (1, 2):
        shown = (picture == object_colour(object_id)).all(axis=1).sum()
        assert shown > 300


def test_odd_names_and_tiny_frames() -> None:
    names = {1: "Ünïcödé кот", 2: "x" * 500, 3: "", 4: "two\nlines"}
    labels = np.zeros((120, 160), dtype=np.uint8)
    for object_id in names:
        labels[20 * object_id : 20 * object_id + 10, 10:60] = object_id
    picture = OverlayRenderer(names).render(GREY, labels)
    assert picture.shape == GREY.shape
    tiny = OverlayRenderer({1: "much too wide"}).render(GREY[:6, :9], labels[18:24, 8:17])
    assert tiny.shape == (6, 9, 3)


def test_background_only_changes_nothing() -> None:
    picture = OverlayRenderer({1: "cat"}).render(GREY, np.zeros((120, 160), dtype=np.int32))
    assert np.array_equal(picture, GREY)
    assert picture is not GREY


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        OverlayRenderer(alpha=1.5)
    with pytest.raises(ValueError, match="labels of shape"):
        plain().render(GREY, np.zeros((60, 80), dtype=np.uint8))


def test_the_name_stays_with_the_largest_part() -> None:
    labels = square()
    without = OverlayRenderer(names={1: "cat"}, outline=False).render(GREY, labels)
    labels[5:7, 5:7] = 1
    stray = OverlayRenderer(names={1: "cat"}, outline=False).render(GREY, labels)
    changed = (stray != without).any(axis=2)
    changed[5:7, 5:7] = False
    assert not changed.any()
