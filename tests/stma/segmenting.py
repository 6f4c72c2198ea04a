"""What tests of the segmenter share: settings, a moving scene, a mask on it, and an untrained tiny network."""

import io
from typing import Any

import numpy as np
import torch

from stma.config import MODEL_CONFIGS, MemoryConfig, SegmenterConfig
from stma.network.model import STMA
from stma.segmenter import Segmenter

CONFIG = SegmenterConfig(size=48, device="cpu", precision="fp32", memory=MemoryConfig(interval=2, capacity=2))


def untrained_model() -> STMA:
    torch.manual_seed(4)
    return STMA(MODEL_CONFIGS["tiny"]).eval()


def moving_frames() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    scene = generator.integers(0, 255, (80, 120, 3), dtype=np.uint8)
    return [np.ascontiguousarray(scene[i : i + 61, 2 * i : 2 * i + 83]) for i in range(9)]


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
