"""The training-free baselines on a textured disk that crosses a textured background."""

import cv2
import numpy as np
import pytest

from stma.baselines import BASELINES, Baseline, run_baseline
from stma.errors import SettingsError
from stma.metrics import region_similarity

HEIGHT, WIDTH, COUNT = 90, 140, 12


def texture(seed: int, tint: tuple[int, int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 90, (HEIGHT, WIDTH))
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.clip(np.array(tint) + smooth[..., None], 0, 255).astype(np.uint8)


def moving_disk() -> tuple[list[np.ndarray], list[np.ndarray]]:
    background, surface = texture(0, (40, 130, 60)), texture(1, (200, 80, 60))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    frames, truth = [], []
    for index in range(COUNT):
        x = 35 + 4 * index
        mask = (rows - 45) ** 2 + (columns - x) ** 2 < 20**2
        frames.append(np.where(mask[..., None], np.roll(surface, 4 * index, axis=1), background))
        truth.append(mask.astype(np.uint8) * 5)
    return frames, truth


def test_each_baseline_beats_the_simpler_one() -> None:
    frames, truth = moving_disk()
    last = {name: list(run_baseline(name, frames, {0: truth[0]}))[-1] for name in BASELINES}
    scores = {name: region_similarity(labels == 5, truth[-1] == 5) for name, labels in last.items()}
    assert scores["copy"] < 0.1
    assert scores["flow"] > 0.3
    assert scores["grabcut"] > 0.9


@pytest.mark.parametrize("name", BASELINES)
def test_labels_keep_ids_size_type_and_count(name: str) -> None:
    frames, truth = moving_disk()
    annotation = truth[0].astype(np.uint16) * 100
    labels = list(run_baseline(name, iter(frames), {0: annotation}))
    assert len(labels) == COUNT
    np.testing.assert_array_equal(labels[0], annotation)
    assert all(item.dtype == np.uint16 and item.shape == (HEIGHT, WIDTH) for item in labels)
    assert {int(value) for item in labels for value in np.unique(item)} == {0, 500}


@pytest.mark.parametrize("name", ["flow", "grabcut"])
@pytest.mark.parametrize("size", [(1, 1), (4, 4), (3, 200), (40, 15), (16, 16)])
def test_frames_may_be_of_any_size(name: Baseline, size: tuple[int, int]) -> None:
    frames = list(np.random.default_rng(0).integers(0, 255, (3, *size, 3)).astype(np.uint8))
    annotation = np.zeros(size, np.uint8)
    annotation[: size[0] // 2 + 1, : size[1] // 2 + 1] = 1
    labels = list(run_baseline(name, frames, {0: annotation}))
    assert [one.shape for one in labels] == [size] * 3
    if name == "flow" and min(size) < 16:
        np.testing.assert_array_equal(labels[-1], annotation)


@pytest.mark.parametrize("name", BASELINES)
def test_a_late_object_joins_and_the_first_one_stays(name: str) -> None:
    frames, truth = moving_disk()
    late = np.zeros_like(truth[0])
    late[2:20, 2:20] = 7
    labels = list(run_baseline(name, frames, {2: truth[2], 6: late}))
    assert not labels[0].any()
    assert not labels[1].any()
    assert set(np.unique(labels[5])) == {0, 5}
    assert set(np.unique(labels[6])) == {0, 5, 7}
    np.testing.assert_array_equal(labels[6] == 7, late == 7)
    assert set(np.unique(labels[-1])) == {0, 5, 7}


def test_grabcut_gives_the_same_result_twice() -> None:
    frames, truth = moving_disk()
    first = list(run_baseline("grabcut", frames, {0: truth[0]}))
    cv2.setRNGSeed(99)
    np.testing.assert_array_equal(first, list(run_baseline("grabcut", frames, {0: truth[0]})))


@pytest.mark.parametrize("name", BASELINES)
def test_an_object_that_fills_the_picture_or_is_one_pixel(name: str) -> None:
    frames, _ = moving_disk()
    full = np.ones((HEIGHT, WIDTH), dtype=np.uint8)
    full[0, 0] = 2
    assert len(list(run_baseline(name, frames, {0: full}))) == COUNT


def test_bad_input_is_named() -> None:
    frames, truth = moving_disk()
    with pytest.raises(SettingsError, match="copy, flow, grabcut"):
        run_baseline("magic", frames, {0: truth[0]})
    with pytest.raises(SettingsError, match="no object is annotated"):
        run_baseline("copy", frames, {0: np.zeros_like(truth[0])})
    with pytest.raises(SettingsError, match="140x90 and the label map 70x45"):
        list(run_baseline("copy", frames, {0: truth[0][::2, ::2]}))
