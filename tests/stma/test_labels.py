"""What a label map holds."""

from typing import Any

import numpy as np
import pytest

from stma.labels import EXACT, LEAVE, areas, ids_in


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_ids_are_found_in_label_maps_of_every_type(dtype: Any) -> None:
    labels = np.zeros((6, 8), dtype)
    assert ids_in(labels) == ()
    labels[2:4, 1:3], labels[5, 7] = 200, 3
    assert ids_in(labels) == (3, 200)
    assert ids_in(labels[::-2, 1:]) == (3, 200)
    assert ids_in(labels[labels > 3]) == (200,)
    assert ids_in(labels[labels > 200]) == ()
    assert {type(object_id) for object_id in ids_in(labels)} == {int}


def test_pixels_that_stay_as_predicted_are_no_object() -> None:
    assert ids_in(np.array([[LEAVE, 0], [300, 65535]], np.int32)) == (300, 65535)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_areas_are_pixels_of_each_object(dtype: Any) -> None:
    labels = np.zeros((6, 8), dtype)
    labels[2:4, 1:3], labels[5, 7] = 200, 3
    assert areas(labels, (3, 200, 7, 300)) == {3: 1, 200: 4, 7: 0, 300: 0}
    assert areas(labels[:0], ()) == {}


def test_areas_of_large_frames_are_exact() -> None:
    labels = np.ones(EXACT + 1, np.uint8)
    assert areas(labels, (1,)) == {1: EXACT + 1}
