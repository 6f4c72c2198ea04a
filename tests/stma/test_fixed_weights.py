"""What a run with fixed weights finds, as numbers: whatever the network or the memory computes otherwise shows here.

A change that is meant to change results changes these numbers too: print `found` and put it in their place.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from colour_network import colour_network

from stma.config import MemoryConfig, SegmenterConfig
from stma.segmenter import Segmenter
from stma.training.clip import ClipBatch, run_clip
from stma.training.config import LossConfig

SIZE = (288, 384)
MEMORY = MemoryConfig(
    interval=3, capacity=2, label_recent=2, label_window=9, newest_window=3, annotated_window=None
)
# for each frame the mean of each object's soft mask in percent, its confidence, and its pixels
FOUND = [
    ([0.9259, 0.9259], [1.0, 1.0], [1024, 1024]),
    ([0.8237, 0.8795], [0.2901, 0.2844], [982, 1017]),
    ([0.5594, 0.7529], [0.2456, 0.3489], [703, 900]),
    ([0.247, 0.6445, 0.5642], [0.2565, 0.2904, 1.0], [271, 805, 624]),
    ([0.1873, 0.9103, 0.473], [0.1519, 0.2712, 0.193], [192, 1014, 582]),
    ([0.1475, 0.8651, 0.4114], [0.1437, 0.3161, 0.2035], [143, 1010, 461]),
    ([0.1325, 0.7172, 0.2846], [0.1698, 0.3063, 0.1677], [119, 853, 280]),
    ([0.4067, 0.681, 0.3023], [0.2442, 0.233, 0.1603], [470, 821, 284]),
    ([0.9146, 0.7366, 0.2804], [0.2874, 0.2289, 0.1575], [1020, 806, 235]),
    ([0.7466, 0.6972, 0.2912], [0.287, 0.2724, 0.1839], [971, 720, 212]),
]


LOSSES = {
    "total": 1.8662,
    "cross_entropy": 0.547,
    "dice": 0.4045,
    "labels": 0.167,
    "regions": 0.4582,
    "coarse": 1.2465,
    "quality": 0.6965,
    "iou": 0.4613,
}


def clip() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames and label maps of three moving squares of plain colours."""
    background = np.random.default_rng(1).integers(110, 134, (36, 48, 3), dtype=np.uint8)
    for time in range(10):
        labels = np.zeros(SIZE, np.uint8)
        labels[60 + time : 92 + time, 40 + 2 * time : 72 + 2 * time] = 1
        labels[64:96, 120 - 2 * time : 152 - 2 * time] = 2
        labels[120 - 2 * time : 144 - 2 * time, 40:66] = 3
        pixels = background.repeat(8, 0).repeat(8, 1)
        for number, colour in enumerate(((220, 70, 40), (40, 90, 210), (30, 200, 60)), start=1):
            pixels[labels == number] = colour
        yield pixels, labels


def test_masks_and_confidences_are_those_of_before() -> None:
    segmenter = Segmenter(
        colour_network(), SegmenterConfig(size=None, device="cpu", precision="fp32", memory=MEMORY)
    )
    found = []
    for time, (pixels, labels) in enumerate(clip()):
        given = {
            0: np.where(labels < 3, labels, 0),
            3: np.where(labels == 3, labels, 0),
        }  # the last comes late
        prediction = segmenter.step(pixels, given.get(time))
        shares = [round(float(100 * soft.mean()), 4) for soft in prediction.soft]
        confidences = [round(value, 4) for value in prediction.confidence.values()]
        found.append((shares, confidences, list(prediction.area.values())))
    for (shares, confidences, areas), expected in zip(found, FOUND, strict=True):
        assert shares == pytest.approx(expected[0], rel=1e-3, abs=5e-4)
        assert confidences == pytest.approx(expected[1], rel=1e-3, abs=5e-4)
        assert areas == pytest.approx(expected[2], abs=3)


def test_losses_of_a_clip_are_those_of_before() -> None:
    pairs = [pair for pair, _ in zip(clip(), range(9), strict=False)]
    frames = torch.from_numpy(np.stack([pixels[48:160, 32:176] for pixels, _ in pairs])).permute(0, 3, 1, 2)
    labels = torch.from_numpy(np.stack([labels[48:160, 32:176] for _, labels in pairs]))
    alone = torch.where((labels == 1) & (torch.arange(9) < 6)[:, None, None], labels, 0)  # it is gone at last
    cells = torch.arange(14 * 18).view(14, 18).div(40, rounding_mode="floor").to(torch.uint8)
    clips = ClipBatch(
        torch.stack([frames, frames.flip(3)]),
        torch.stack([labels, alone.flip(2)]),
        cells.expand(2, 9, 14, 18),
        torch.tensor([[True, True, True], [True, False, False]]),
    )
    config = LossConfig(refine_edges=True, scored_windows=2)
    numbers = run_clip(colour_network(), clips, 0.5, config, torch.Generator().manual_seed(3)).numbers()
    found = {name: round(number, 4) for name, number in numbers.items()}
    assert found == pytest.approx(LOSSES, rel=1e-3, abs=5e-4)
