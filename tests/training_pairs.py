"""Pictures of training folders with their label maps."""

from pathlib import Path

import numpy as np
from PIL import Image

from stma.palette import davis_palette


def write_pair(folder: Path, stem: str, image: np.ndarray, label: np.ndarray) -> None:
    """Save a picture as JPEG and its (H, W) uint8 label map as indexed PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(folder / f"{stem}.jpg", quality=95)
    indexed = Image.fromarray(label, mode="P")
    indexed.putpalette(davis_palette().tobytes())
    indexed.save(folder / f"{stem}.png")
