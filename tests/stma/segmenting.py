"""What tests of the segmenter share: settings, a moving scene, and a mask on it."""

import io
from typing import Any

import numpy as np
import torch

from stma.config import MemoryConfig, SegmenterConfig
from stma.segmenter import Segmenter

CONFIG = SegmenterConfig(size=48, device="cpu", precision="fp32", memory=MemoryConfig(interval=2, capacity=2))


def moving_frames() -> list[np.ndarray]:
    """Two rectangles, those of `first_mask`, that move by a pixel every other frame."""
    scene = np.random.default_rng(0).integers(0, 255, (8, 11, 3), dtype=np.uint8)
    background = scene.repeat(8, 0).repeat(8, 1)[:61, :83]
    made = []
    for i in range(9):
        frame, mask = background.copy(), np.roll(first_mask(), (i // 2, i // 2), (0, 1))
        frame[mask == 7], frame[mask == 3] = (220, 70, 40), (40, 90, 210)
        made.append(frame)
    return made


def first_mask() -> np.ndarray:
    mask = np.zeros((61, 83), dtype=np.uint8)
    mask[10:30, 10:40] = 7
    mask[35:55, 45:75] = 3
    return mask


def run(segmenter: Segmenter, frames: list[np.ndarray], mask: np.ndarray) -> list[np.ndarray]:
    return [segmenter.step(frame, mask if i == 0 else None).labels for i, frame in enumerate(frames)]


def saved_and_read(segmenter: Segmenter) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(segmenter.state_dict(), file)
    file.seek(0)
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state
