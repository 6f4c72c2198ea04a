"""Labels at the frame's size, decided between cells."""

import numpy as np
import pytest
import torch

from stma.guided import guided_labels_on_device
from stma.hard_labels import hard_labels, hard_labels_on_device
from stma.prediction import Outcome
from stma.resize import resize_frame


def logits(maps: int, smooth: bool) -> torch.Tensor:
    noise = torch.randn(1, maps, 20, 31, generator=torch.Generator().manual_seed(maps))
    return torch.nn.functional.avg_pool2d(noise, 7, stride=1, padding=3)[0] if smooth else noise[0]


@pytest.mark.parametrize("size", [(80, 124), (97, 151), (240, 300), (15, 40)])
@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("maps", [2, 5])
def test_labels_equal_those_of_upsampled_logits(maps: int, smooth: bool, size: tuple[int, int]) -> None:
    given = logits(maps, smooth)
    labels = hard_labels(given.numpy(), *size)
    assert labels.shape == size
    assert (labels != hard_labels_on_device(given, *size).numpy()).mean() < 1e-4  # rounding may decide a tie


def test_a_lone_map_and_equal_maps_are_background() -> None:
    assert not hard_labels(np.ones((1, 4, 5), np.float32), 16, 20).any()
    assert not hard_labels(np.ones((3, 4, 5), np.float32), 16, 20).any()


def test_labels_made_on_the_device_and_in_main_memory_give_one_prediction() -> None:
    given = logits(3, smooth=True)
    soft, expected = given[1:].sigmoid(), torch.tensor([0.5, 0.25])
    maps = (given, hard_labels_on_device(given, 80, 124).to(torch.int32))
    here, there = (Outcome(3, (80, 124), (7, 300), each, soft, expected, None).prediction() for each in maps)
    assert here.labels.dtype == there.labels.dtype == np.uint16
    assert np.array_equal(here.labels, there.labels)
    assert here.area == there.area
    assert here.confidence == {7: 0.5, 300: 0.25}


def test_with_a_guide_both_ways_follow_its_colours() -> None:
    given = logits(3, smooth=True)
    guide = np.random.default_rng(0).integers(0, 255, (80, 124, 3), dtype=np.uint8)
    soft, expected = given[1:].sigmoid(), torch.tensor([0.5, 0.25])
    pictures = (torch.from_numpy(picture) for picture in (resize_frame(guide, 20, 31), guide))
    maps = (given, guided_labels_on_device(given, *pictures).to(torch.int32))
    here, there = (
        Outcome(3, (80, 124), (7, 9), each, soft, expected, None, guide).prediction() for each in maps
    )
    plain = Outcome(3, (80, 124), (7, 9), given, soft, expected, None).prediction()
    assert (here.labels != there.labels).mean() < 0.01
    assert (here.labels != plain.labels).mean() > 0.02


def test_more_maps_than_a_byte_counts_keep_their_numbers() -> None:
    logits = np.zeros((300, 2, 2), np.float32)
    logits[299, 0], logits[43, 1] = 1, 1
    found = hard_labels(logits, 4, 4)
    assert found[0].tolist() == [299] * 4
    assert found[3].tolist() == [43] * 4
