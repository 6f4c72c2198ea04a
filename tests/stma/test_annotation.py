"""How what a person says is put over what was predicted."""

import numpy as np
import torch

from stma.annotation import CheckedMask, impose_labels, imposed_masks
from stma.labels import LEAVE

SIZE = (32, 48)  # 8 x 12 cells at stride 4


def labels_of(left: int, right: int) -> np.ndarray:
    """One value in the left third of the frame, another in the right third, 0 between."""
    labels = np.zeros(SIZE, np.int64)
    labels[:, :16], labels[:, 32:] = left, right
    return labels


def test_what_is_marked_is_of_no_other_object_any_more() -> None:
    predicted = torch.full((1, 2, 8, 12), 0.4)
    marked = CheckedMask(labels_of(9, 0), (9,))
    masks = imposed_masks(predicted, marked, (3, 7, 9), SIZE)
    assert masks[0, 2].sum() == 8 * 4
    assert not masks[0, :2, :, :4].any()
    assert masks[0, :2, :, 4:].eq(0.4).all(), "objects that the mask does not name stay as predicted"


def test_pixels_to_leave_stay_as_predicted_in_what_is_remembered() -> None:
    predicted = torch.full((1, 2, 8, 12), 0.4)
    masks = imposed_masks(predicted, CheckedMask(labels_of(3, LEAVE), (3, 7)), (3, 7), SIZE)
    assert masks[0, 0, :, :4].eq(1).all()
    assert not masks[0, 1, :, :4].any()
    assert not masks[0, :, :, 4:8].any(), "zeros are background for all that the mask names"
    assert masks[0, :, :, 8:].eq(0.4).all()


def test_pixels_to_leave_keep_their_labels_and_leave_a_doubt_about_these() -> None:
    labels = np.zeros(SIZE, np.uint8)
    labels[:, 20:28], labels[:, 40:] = 3, 7
    certain = impose_labels(labels, CheckedMask(labels_of(3, LEAVE), (3, 7)))
    assert certain == {3}
    expected = labels_of(3, 0)
    expected[:, 40:] = 7
    np.testing.assert_array_equal(labels, expected)
