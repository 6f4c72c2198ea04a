"""What a run with fixed weights finds, as numbers: whatever the network or the memory computes otherwise shows here.

A change that is meant to change results changes these numbers too: print `found` and put it in their place.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from colour_network import colour_network

from stma.config import MemoryConfig, SegmenterConfig
from stma.segmenter import Segmenter

SIZE = (288, 384)
MEMORY = MemoryConfig(
    interval=3, capacity=2, label_recent=2, label_window=9, newest_window=3, annotated_window=None
)
# for each frame the mean of each object's soft mask in percent, and its confidence
FOUND = [
    ([0.9259, 0.9259], [1.0, 1.0]),
    ([0.8237, 0.8795], [0.2901, 0.2844]),
    ([0.5594, 0.7529], [0.2456, 0.3489]),
    ([0.247, 0.6445, 0.5642], [0.2565, 0.2904, 1.0]),
    ([0.1873, 0.9103, 0.473], [0.1519, 0.2712, 0.193]),
    ([0.1475, 0.8651, 0.4114], [0.1437, 0.3161, 0.2035]),
    ([0.1325, 0.7172, 0.2846], [0.1698, 0.3063, 0.1677]),
    ([0.4067, 0.681, 0.3023], [0.2442, 0.233, 0.1603]),
    ([0.9146, 0.7366, 0.2804], [0.2874, 0.2289, 0.1575]),
    ([0.7466, 0.6972, 0.2912], [0.287, 0.2724, 0.1839]),
]


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
        found.append((shares, [round(value, 4) for value in prediction.confidence.values()]))
    for mine, theirs in zip(found, FOUND, strict=True):
        for numbers, expected in zip(mine, theirs, strict=True):
            assert numbers == pytest.approx(expected, rel=1e-3, abs=5e-4)
