"""Masks whose outlines follow the colours of the frame: the fast guided filter, from cells of 4 pixels to pixels.

Around each cell a mask is fitted as a linear function of colour, on the maps of the network; the functions, brought to
the frame's size, say what each pixel is. Where mask and colour have nothing in common the function is constant: the
mask smoothed. That hardly moves an outline but wipes out what is narrower than the window; so a small object of which
the network is sure and that would lose much of itself keeps what bilinear upsampling gives it.

He, Sun and Tang: Guided image filtering (TPAMI 2013); He and Sun: Fast guided filter (arXiv 1505.00996), here with a
Gaussian window and, since bilinear upsampling smooths the functions too, without their second mean.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stma.boundaries import boundary_map, differing
from stma.bounding import Window, bounding_window
from stma.hard_labels import (
    Samples,
    hard_labels,
    hard_labels_on_device,
    largest_map,
    repeated,
    samples,
)
from stma.resize import resize_frame

SIGMA = 1.5  # cells, of the window: 1 to 2 gain about the same on clips of training and of validation
RADIUS = 3  # cells at which the window ends (twice SIGMA), and around an outline in which pixels are decided
EPSILON = 1e-4  # variance of colours in 0..1 below which they say nothing: that of JPEG noise
SMOOTHING = 0.25  # cells: Gaussian on the frame, or the grain of a film would fray the outlines
MARGIN = RADIUS + 1  # cells around those to decide that have a say: of the window, and of a bilinear sample
SAMPLED = 1 / 12 + 1 / 6  # pixels squared: variance of averaging over pixels and interpolating between
# largest share in any cell from which a small object is no speck that smoothing rightly takes away
SURE = 0.9
LEAST_KEPT = 0.6  # of its pixels after bilinear upsampling: with fewer a small object has lost much of itself
FAINT = 0.02  # an object whose mask is below this in all cells around has no part in a pixel
REMAP_COLUMNS = 4096  # OpenCV takes no side above 32767, so pixels come in rows of so many


def color_lines(masks: Tensor, guide: Tensor) -> Tensor:
    """Fit each mask as a linear function of colour, around every cell.

    Args:
        masks: (B, K, h, w) float32 soft masks in 0..1.
        guide: (B, 3, h, w) float32 RGB in 0..1: the mean colours of the cells.

    Returns:
        (B, K, 4, h, w) float32: factors of red, green and blue, and the constant.
    """
    mean = _blurred(guide)  # (B, 3, h, w)
    products = _blurred((guide[:, :, None] * guide[:, None]).flatten(1, 2)).unflatten(1, (3, 3))
    covariance = (products - mean[:, :, None] * mean[:, None]).movedim(0, 2)  # (3, 3, B, h, w)
    flat = EPSILON * torch.eye(3, device=guide.device)[:, :, None, None, None]
    inverse = _inverse(covariance + flat).movedim(2, 0)  # (B, 3, 3, h, w)
    # On a CPU one mask after the other, whose maps stay in the cache.
    parts = masks.split(1, dim=1) if masks.device.type == "cpu" else [masks]
    lines = []
    for part in parts:
        seen = torch.cat([part[:, :, None], guide[:, None] * part[:, :, None]], dim=2)  # (B, k, 4, h, w)
        means = _blurred(seen.flatten(1, 2)).unflatten(1, (-1, 4))
        apart = means[:, :, 1:] - mean[:, None] * means[:, :, :1]  # (B, k, 3, h, w)
        factors = (inverse[:, None] * apart[:, :, None]).sum(3)  # (B, k, 3, h, w)
        constant = means[:, :, :1] - (factors * mean[:, None]).sum(2, keepdim=True)
        lines.append(torch.cat([factors, constant], dim=2))
    return torch.cat(lines, dim=1)


def _blurred(maps: Tensor, sigma: float = SIGMA) -> Tensor:
    """Gaussian means of (B, C, h, w) maps, repeated beyond the border."""
    radius = math.ceil(2 * sigma)
    weights = [math.exp(-0.5 * (place / sigma) ** 2) for place in range(-radius, radius + 1)]
    padded = functional.pad(maps, (radius,) * 4, mode="replicate")
    for axis, length in ((2, maps.shape[2]), (3, maps.shape[3])):
        total = padded.narrow(axis, 0, length) * weights[0]
        for place, weight in enumerate(weights[1:], start=1):
            total.add_(padded.narrow(axis, place, length), alpha=weight)
        padded = total
    return padded / sum(weights) ** 2


def _inverse(matrix: Tensor) -> Tensor:
    """Inverse of symmetric (3, 3, ...) matrices by cofactors, which are few operations on whole maps."""
    (a, b, c), (_, d, e), (_, _, f) = matrix
    cofactors = [d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b]
    first, second, third, fourth, fifth, sixth = cofactors
    determinant = a * first + b * second + c * third
    rows = [first, second, third, second, fourth, fifth, third, fifth, sixth]
    inverse: Tensor = torch.stack(rows).unflatten(0, (3, 3)) / determinant
    return inverse


def guided_labels(logits: np.ndarray, picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Label every pixel: near to outlines by the lines of `color_lines`, elsewhere with the largest map of its cell.

    Args:
        logits: (K+1, h, w) float32 of a distribution over background (first) and objects.
        picture: (H, W, 3) uint8 RGB, the frame or the frame scaled.
        height: rows of the frame.
        width: columns of the frame.

    Returns:
        (height, width) index of the map, as of `largest_map`.
    """
    cells = largest_map(logits)
    rows, columns = samples(cells.shape[0], height), samples(cells.shape[1], width)
    labels = repeated(cells, rows, columns)
    near = _widened(boundary_map(cells))
    undecided = _undecided(near, picture, rows, columns)
    if undecided is None:
        return labels
    masks = torch.from_numpy(logits[:, *undecided.window]).softmax(0)[1:]
    guide = resize_frame(picture, *cells.shape)[undecided.window]
    index = _largest_mask(masks, guide, undecided)
    sure = (masks.flatten(1).amax(1) > SURE).numpy()
    small = sure & (np.bincount(cells[~near], minlength=len(logits))[1:] == 0)
    if small.any():
        plain = hard_labels(logits, height, width).ravel()[undecided.places]
        index = _rescued(index, plain, np.append(False, small))
    labels.ravel()[undecided.places] = index
    return labels


@dataclass(frozen=True)
class _Undecided:
    """The N pixels near to outlines, row by row, and the cells that have a say in them.

    Attributes:
        window: of these cells among all.
        near: (h, w) bool: cells of the window in which the pixels lie.
        places: (N,) int32 places of the pixels in the frame.
        cell: (N,) places of their cells in the window.
        cell_row: (N,) rows of the same.
        down, right: (N,) float32 rows and columns of the pixels in the window, in cells.
        colours: (3, N) float32 RGB in 0..1, smoothed.
    """

    window: Window
    near: np.ndarray
    places: np.ndarray
    cell: np.ndarray
    cell_row: np.ndarray
    down: np.ndarray
    right: np.ndarray
    colours: np.ndarray


def _undecided(near: np.ndarray, picture: np.ndarray, rows: Samples, columns: Samples) -> _Undecided | None:
    """The pixels of cells that are near to an outline, (h, w) bool; None without any."""
    window = bounding_window(near, MARGIN)
    if window is None:
        return None
    column, row = _places_of(repeated(near, rows, columns))
    if not len(row):
        return None  # of a frame with fewer pixels than cells
    size = len(rows.first), len(columns.first)
    top, left, inside = window[0].start, window[1].start, near[window]
    cell_row = (rows.first - top)[row]
    return _Undecided(
        window=window,
        near=inside,
        places=row * np.int32(size[1]) + column,
        cell=cell_row * inside.shape[1] + (columns.first - left)[column],
        cell_row=cell_row,
        down=(rows.places - np.float32(top))[row],
        right=(columns.places - np.float32(left))[column],
        colours=_colours(picture, near.shape, size, (row, column)),
    )


def _largest_mask(masks: Tensor, guide: np.ndarray, undecided: _Undecided) -> np.ndarray:
    """(N,) number of the mask with the largest share in each pixel, 0 where the background's is as large.

    Args:
        masks: (K, h, w) float32 soft masks of the window.
        guide: (h, w, 3) uint8 RGB: the colours of its cells.
        undecided: the pixels.
    """
    colours = torch.from_numpy(guide).permute(2, 0, 1).float() / 255
    background = np.ones(len(undecided.places), np.float32)
    best = np.full(len(undecided.places), -np.inf, np.float32)
    index = np.zeros(len(undecided.places), np.uint16)
    for number, mask in enumerate(masks, start=1):
        there, share = _claims(mask, colours, undecided)
        background[there] -= share
        larger = share > best[there]
        best[there[larger]] = share[larger]
        index[there[larger]] = number
    index[background >= best] = 0
    return index


def _claims(mask: Tensor, colours: Tensor, undecided: _Undecided) -> tuple[np.ndarray, np.ndarray]:
    """Which of the pixels are near to an (h, w) mask, and its share in each of them, by (3, h, w) RGB in 0..1."""
    own = _widened(mask.numpy() > FAINT) & undecided.near
    part = bounding_window(own, MARGIN)
    if part is None:
        return np.zeros(0, np.intp), np.zeros(0, np.float32)
    first, last = np.searchsorted(undecided.cell_row, (part[0].start, part[0].stop))
    there = first + np.flatnonzero(own.ravel()[undecided.cell[first:last]])
    line = color_lines(mask[None, None, *part], colours[None, :, *part])[0, 0].numpy()
    down = undecided.down[there] - np.float32(part[0].start)
    right = undecided.right[there] - np.float32(part[1].start)
    *factors, share = _sampled(list(line), down, right)
    for factor, colour in zip(factors, undecided.colours, strict=True):
        share += factor * colour[there]
    return there, share


def _rescued(index: np.ndarray, plain: np.ndarray, small: np.ndarray) -> np.ndarray:
    """(N,) numbers of masks, with those of `plain` where the background would take a small mask that loses much.

    Args:
        index: (N,) numbers by colour.
        plain: (N,) numbers after bilinear upsampling.
        small: (K+1,) bool: which masks, by number, are small.
    """
    before, after = (np.bincount(found, minlength=len(small)) for found in (plain, index))
    lost = small & (after < LEAST_KEPT * before)
    return np.where(lost[plain] & (index == 0), plain, index)


def _places_of(pixels: np.ndarray) -> np.ndarray:
    """(2, N) int32 columns and rows of what a bool map holds, row by row."""
    found = cv2.findNonZero(pixels.view(np.uint8))  # a quarter of the time of `np.nonzero`
    return np.zeros((2, 0), np.int32) if found is None else np.ascontiguousarray(found.reshape(-1, 2).T)


def _colours(
    picture: np.ndarray,
    cells: tuple[int, ...],
    size: tuple[int, int],
    pixels: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """(3, N) float32 RGB in 0..1 of these rows and columns of a frame of this size in a picture of it, smoothed."""
    variance = (SMOOTHING * picture.shape[0] / cells[0]) ** 2
    if size != picture.shape[:2]:
        variance = max(variance - SAMPLED, 0.01)
    sigma = math.sqrt(variance)
    radius = math.ceil(2 * sigma)
    axes = [samples(there, here) for there, here in zip(picture.shape[:2], size, strict=True)]
    ends = [
        (axis.first[some.min()], axis.second[some.max()]) for axis, some in zip(axes, pixels, strict=True)
    ]
    starts = [max(0, int(first) - radius) for first, _ in ends]
    part = picture[*(slice(start, last + radius + 1) for start, (_, last) in zip(starts, ends, strict=True))]
    smooth = np.asarray(
        cv2.GaussianBlur(part, (2 * radius + 1, 2 * radius + 1), sigma, borderType=cv2.BORDER_REPLICATE)
    )
    places = [
        (axis.places - np.float32(start))[some]
        for axis, start, some in zip(axes, starts, pixels, strict=True)
    ]
    return _sampled([smooth], *places).reshape(-1, 3).T.astype(np.float32) / 255


def _widened(cells: np.ndarray) -> np.ndarray:
    """Cells of a bool map and all within `RADIUS` of them."""
    return np.asarray(cv2.dilate(cells.astype(np.uint8), np.ones((2 * RADIUS + 1,) * 2, np.uint8))) > 0


def _sampled(maps: Sequence[np.ndarray], rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear samples of (h, w) or (h, w, C) maps at N float32 places in cells: (maps, N) or (maps, N, C)."""
    count = len(rows)
    shape = (math.ceil(count / REMAP_COLUMNS), REMAP_COLUMNS)
    across, down = (np.resize(places, shape) for places in (columns, rows))
    found = np.empty((len(maps), *shape, *maps[0].shape[2:]), maps[0].dtype)
    for one, target in zip(maps, found, strict=True):
        cv2.remap(one, across, down, cv2.INTER_LINEAR, target, cv2.BORDER_REPLICATE)
    return found.reshape(len(maps), -1, *found.shape[3:])[:, :count]


def guided_masks(masks: Tensor, guide: Tensor, frames: Tensor) -> Tensor:
    """Soft masks at the frames' size by the lines of `color_lines`; gradients reach the masks.

    Args:
        masks: (B, K, h, w) float32 soft masks in 0..1.
        guide: (B, 3, h, w) float32 RGB in 0..1, the frames scaled to cells, on the same device.
        frames: (B, 3, H, W) float32 RGB in 0..1, likewise.

    Returns:
        (B, K, H, W) float32, a little beyond 0..1 where a line overshoots.
    """
    size = frames.shape[2:]
    colours = _blurred(frames, SMOOTHING * size[0] / masks.shape[2])
    shares = []
    for line in color_lines(masks, guide).unbind(1):
        full = functional.interpolate(line, size=size, mode="bilinear", align_corners=False)  # (B, 4, H, W)
        shares.append((full[:, :3] * colours).sum(1) + full[:, 3])
    return torch.stack(shares, dim=1)


def _first_cells(cells: int, pixels: int, device: torch.device) -> Tensor:
    """`Samples.first`, computed on a device: brought there from main memory, it would wait for the device."""
    centres = torch.arange(pixels, dtype=torch.float32, device=device) + 0.5
    position = (centres * float(np.float32(cells / pixels)) - 0.5).clamp(min=0)
    return position.long().clamp(max=cells - 1)


def guided_labels_on_device(logits: Tensor, guide: Tensor, frame: Tensor) -> Tensor:
    """As `guided_labels`, where an operation on a whole frame costs nothing.

    Args:
        logits: (K+1, h, w), as there.
        guide: (h, w, 3) uint8 RGB, the frame as `resize_frame` scales it to cells, on the same device.
        frame: (H, W, 3) uint8 RGB, likewise.

    Returns:
        (H, W) int64 index of the map.
    """
    height, width = frame.shape[:2]
    cells = logits.argmax(0)
    colours = [picture.permute(2, 0, 1)[None].float() / 255 for picture in (guide, frame)]
    masks = logits.softmax(0)
    objects = guided_masks(masks[None, 1:], *colours)[0]
    guided = torch.cat([1 - objects.sum(0, keepdim=True), objects]).argmax(0)
    padded = functional.pad(cells[None].float(), (0, 1, 0, 1), mode="replicate")[0]
    mixed = differing(padded)[None].float()
    near = functional.max_pool2d(mixed, 2 * RADIUS + 1, stride=1, padding=RADIUS)[0] > 0
    rows = _first_cells(cells.shape[0], height, cells.device)
    columns = _first_cells(cells.shape[1], width, cells.device)
    plain = hard_labels_on_device(logits, height, width)
    inside = _counts(cells, ~near, len(logits))
    small = (masks.flatten(1).amax(1) > SURE) & (inside == 0)
    decided = near[rows][:, columns]
    lost = small & (_counts(guided, decided, len(logits)) < LEAST_KEPT * _counts(plain, decided, len(logits)))
    guided = torch.where(lost[plain] & (guided == 0), plain, guided)
    return torch.where(decided, guided, cells[rows][:, columns])


def _counts(index: Tensor, counted: Tensor, maps: int) -> Tensor:
    """(maps,) how many of the pixels that count have each index; without waiting for the device."""
    return torch.zeros(maps, device=index.device).index_add_(0, index.flatten(), counted.flatten().float())
