"""`resize_frame` for frames that are on a GPU already; apart from `stma.resize`, which does without torch."""

import torch
from torch import Tensor

from stma.resize import averages, whole_squares


def resize_frames_on_device(frames: Tensor, height: int, width: int) -> Tensor:
    """As `resize_frame`, where two products with matrices cost nothing.

    Args:
        frames: (B, H, W, 3) uint8 RGB.
        height: rows of the result, 1 or more.
        width: columns of the result, 1 or more.

    Returns:
        (B, height, width, 3) float32 whole numbers of 0 to 255, which differ from those of `resize_frame` by 1 at most;
        `frames` themselves where the size is already right.
    """
    rows, columns = frames.shape[1:3]
    if (rows, columns) == (height, width):
        return frames
    averaged = averages((rows, columns), (height, width))
    squares = whole_squares((rows, columns), (height, width)) if averaged else 1
    down = _shares(rows // squares, height, averaged, frames.device)
    across = _shares(columns // squares, width, averaged, frames.device)
    if squares > 1:
        down = torch.matmul(down, _shares(rows, rows // squares, averaged, frames.device))
        across = torch.matmul(across, _shares(columns, columns // squares, averaged, frames.device))
    scaled = []
    for frame in frames:  # one by one: large videos need much memory in float32
        lines = torch.matmul(down, frame.flatten(1).float()).unflatten(1, (columns, 3))  # (height, W, 3)
        scaled.append(torch.matmul(across, lines))
    return torch.stack(scaled).round().clamp(0, 255)


def _shares(source: int, target: int, averaged: bool, device: torch.device) -> Tensor:
    """(target, source) float32: how much of each pixel of the source a pixel of the target is made of, on one axis."""
    scale = source / target
    sources = torch.arange(source, dtype=torch.float32, device=device)
    targets = torch.arange(target, dtype=torch.float32, device=device)[:, None]
    if averaged:
        ends = torch.minimum(sources + 1, (targets + 1) * scale) - torch.maximum(sources, targets * scale)
        return ends.clamp(min=0) / scale
    centres = ((targets + 0.5) * scale - 0.5).clamp(0, source - 1)
    return (1 - (centres - sources).abs()).clamp(min=0)
