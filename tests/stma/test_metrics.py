"""J and F against a slow reference written from the published definition, and their special cases."""

import math

import numpy as np
import pytest
from skimage.morphology import dilation, disk

from stma.boundaries import boundary_map
from stma.errors import SettingsError
from stma.metrics import boundary_accuracy, region_similarity


def reference_boundary(mask: np.ndarray) -> np.ndarray:
    """Pixel by pixel: does it differ from its right, lower or diagonal neighbour inside the picture?"""
    height, width = mask.shape
    boundary = np.zeros(mask.shape, dtype=bool)
    for y in range(height):
        for x in range(width):
            neighbours = []
            if x + 1 < width:
                neighbours.append(mask[y, x + 1])
            if y + 1 < height:
                neighbours.append(mask[y + 1, x])
            if x + 1 < width and y + 1 < height:
                neighbours.append(mask[y + 1, x + 1])
            boundary[y, x] = any(bool(other) != bool(mask[y, x]) for other in neighbours)
    return boundary


def reference_f(prediction: np.ndarray, truth: np.ndarray) -> float:
    element = disk(math.ceil(0.008 * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2)))
    predicted, true = reference_boundary(prediction), reference_boundary(truth)
    predicted_grown = dilation(predicted.astype(np.uint8), element) > 0
    true_grown = dilation(true.astype(np.uint8), element) > 0
    if predicted.sum() == 0 and true.sum() > 0:
        precision, recall = 1.0, 0.0
    elif predicted.sum() > 0 and true.sum() == 0:
        precision, recall = 0.0, 1.0
    elif predicted.sum() == 0 and true.sum() == 0:
        precision, recall = 1.0, 1.0
    else:
        precision = (predicted & true_grown).sum() / predicted.sum()
        recall = (true & predicted_grown).sum() / true.sum()
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def reference_j(prediction: np.ndarray, truth: np.ndarray) -> float:
    intersection = union = 0
    for predicted, true in zip(prediction.ravel(), truth.ravel(), strict=True):
        intersection += bool(predicted) and bool(true)
        union += bool(predicted) or bool(true)
    return 1.0 if union == 0 else intersection / union


def blobs(rng: np.random.Generator, height: int, width: int, count: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    mask = np.zeros((height, width), dtype=bool)
    for _ in range(count):
        centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
        radius_y, radius_x = rng.uniform(2, height / 2), rng.uniform(2, width / 2)
        mask ^= ((y - centre_y) / radius_y) ** 2 + ((x - centre_x) / radius_x) ** 2 < 1
    return mask


def mask_pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(7)
    pairs = []
    for height, width in [(40, 60), (61, 33), (120, 160), (97, 211)]:
        for count in (0, 1, 2, 4):
            truth = blobs(rng, height, width, count)
            moved = np.roll(truth, rng.integers(-3, 4, 2), axis=(0, 1))
            pairs += [(truth, moved), (blobs(rng, height, width, 2), truth), (truth, np.zeros_like(truth))]
        noise = rng.random((height, width)) < 0.05
        pairs += [
            (noise, blobs(rng, height, width, 1)),
            (np.ones_like(noise), noise),
            (noise, np.ones_like(noise)),
        ]
    single = np.zeros((30, 30), dtype=bool)
    single[29, 29] = True
    return [*pairs, (single, np.roll(single, 1, axis=0)), (single, np.ones_like(single))]


@pytest.mark.parametrize(("prediction", "truth"), mask_pairs())
def test_scores_agree_with_the_definition(prediction: np.ndarray, truth: np.ndarray) -> None:
    np.testing.assert_array_equal(boundary_map(truth), reference_boundary(truth))
    assert region_similarity(prediction, truth) == pytest.approx(reference_j(prediction, truth), abs=1e-6)
    assert boundary_accuracy(prediction, truth) == pytest.approx(reference_f(prediction, truth), abs=1e-6)


def test_empty_masks() -> None:
    empty = np.zeros((20, 30), dtype=np.uint8)
    some = empty.copy()
    some[5:9, 5:9] = 3
    assert region_similarity(empty, empty) == 1 == boundary_accuracy(empty, empty)
    assert region_similarity(some, empty) == 0 == boundary_accuracy(some, empty)
    assert region_similarity(empty, some) == 0 == boundary_accuracy(empty, some)


def test_a_full_mask_has_no_boundary() -> None:
    full = np.ones((20, 30), dtype=bool)
    assert not boundary_map(full).any()
    assert boundary_accuracy(full, np.zeros_like(full)) == 1
    assert region_similarity(full, np.zeros_like(full)) == 0


def test_a_shift_within_the_tolerance_costs_nothing_in_f() -> None:
    truth = np.zeros((480, 854), dtype=bool)
    truth[100:300, 200:500] = True  # diagonal 980 pixels, tolerance 8
    assert boundary_accuracy(np.roll(truth, 8, axis=1), truth) == 1
    assert boundary_accuracy(np.roll(truth, 9, axis=1), truth) < 1


def test_the_tolerance_is_rounded_up() -> None:
    truth = np.zeros((480, 640), dtype=bool)
    truth[100:300, 200:500] = True  # diagonal 800 pixels, tolerance 6.4
    assert boundary_accuracy(np.roll(truth, 7, axis=1), truth) == 1


def test_any_non_zero_value_is_the_object() -> None:
    truth = np.zeros((12, 12), dtype=np.uint16)
    truth[3:7, 3:7] = 900
    assert region_similarity(truth > 0, truth) == 1


def test_different_sizes_are_named() -> None:
    with pytest.raises(SettingsError, match="one shape"):
        region_similarity(np.zeros((4, 5)), np.zeros((5, 4)))
    with pytest.raises(SettingsError, match="one shape"):
        boundary_accuracy(np.zeros((4, 5)), np.zeros((4, 5, 1)))
