"""Pictures on disk for the tests of masks."""

from pathlib import Path

import numpy as np
from PIL import Image

from stma.palette import davis_palette


def save_indexed(path: Path, labels: np.ndarray) -> Path:
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(davis_palette().tobytes())
    image.save(path)
    return path


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path
