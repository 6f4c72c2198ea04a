"""Masks that lie on their side: which quarter turn or transposition brings them onto the video."""

from collections.abc import Callable

import numpy as np

from stma.errors import MaskError
from stma.resize import fitted_size, resize_frame, resize_labels
from stma_cli.masks.fit import fit_size

CLEARLY_BETTER = 1.3  # how much more of an outline must lie on edges of the picture than for any other turn
COMPARED_SIDE = 480  # pixels
TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "turned by 90 degrees clockwise": lambda labels: np.rot90(labels, -1),
    "turned by 90 degrees counterclockwise": np.rot90,
    "transposed (rows and columns swapped)": lambda labels: labels.T,
    "transposed and turned upside down": lambda labels: labels[::-1, ::-1].T,
}
_OF_ROTATION = {90: "turned by 90 degrees clockwise", 270: "turned by 90 degrees counterclockwise"}


def lies_on_its_side(columns: int, rows: int, width: int, height: int) -> bool:
    """Whether a mask of `columns` x `rows` pixels fits a video of `width` x `height` only when turned."""
    return not _fits(columns, rows, width, height) and _fits(rows, columns, width, height)


def find_turn(labels: np.ndarray, first: np.ndarray | None, rotation: int) -> str | None:
    """Return the key of `TURNS` that brings a mask onto the video, None when that is not clear.

    A video that is stored turned says it itself. For others the outline is laid over the first frame in all
    four ways, and the one that follows the picture's edges clearly better than the others is taken.

    Args:
        labels: (H, W) integer object ids.
        first: (W, H, 3) uint8 RGB, the first frame in display orientation, up to scale.
        rotation: degrees clockwise that the file asks players to apply.
    """
    if rotation in _OF_ROTATION:
        return _OF_ROTATION[rotation]
    if first is None:
        return None
    edges = _edges(first)
    scores = {}
    for name, turn in TURNS.items():
        turned = resize_labels(np.ascontiguousarray(turn(labels)), *edges.shape)
        outline = np.zeros(edges.shape, dtype=bool)
        outline[:, 1:] |= turned[:, 1:] != turned[:, :-1]
        outline[1:] |= turned[1:] != turned[:-1]
        scores[name] = float(edges[outline].mean()) if outline.any() else 0.0
    best, second = sorted(scores, key=lambda name: scores[name], reverse=True)[:2]
    return best if scores[best] > CLEARLY_BETTER * scores[second] else None


def _fits(columns: int, rows: int, width: int, height: int) -> bool:
    try:
        fit_size(columns, rows, width, height, "")
    except MaskError:
        return False
    return True


def _edges(first: np.ndarray) -> np.ndarray:
    """Return (h, w) float32 strength of the edges of a frame, made smaller."""
    small = fitted_size(first.shape[0], first.shape[1], COMPARED_SIDE)
    grey = resize_frame(first, *small).astype(np.float32).mean(axis=2)
    strength = np.zeros_like(grey)
    strength[:, 1:] += np.abs(np.diff(grey, axis=1))
    strength[1:] += np.abs(np.diff(grey, axis=0))
    return np.asarray(strength)
