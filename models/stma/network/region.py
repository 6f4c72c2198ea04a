"""The part of a frame that is looked at: objects hardly move between two frames, and most of a frame is not theirs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stma.network.interest import LEAST_PROBABILITY, Box, covered, extent, rounded_up, widened

AROUND = 4  # cells of remembered frames around a region that are read for it
REACH = 3  # cells of 16 pixels around the objects, 2 where even bounds cost one: 5 and 8 follow a fast car no better
BORDER = 1  # cells along its border in which no object may end, or the whole frame is looked at after all
SIZE_MULTIPLE = 8  # cells: sizes are multiples of it, since convolutions are prepared for each size anew
LARGEST = 0.8  # of the frame: from there on the whole frame costs hardly more


@dataclass(frozen=True)
class Region:
    """A box of a frame, and the cells of the whole frame at stride 16."""

    box: Box
    height: int
    width: int

    @property
    def whole(self) -> bool:
        """Whether it is all of the frame."""
        return self.box == Box(0, self.height, 0, self.width)

    @property
    def halved(self) -> "Region":
        """The same among averages of 2x2 cells."""
        box = self.box
        some = Box(box.top // 2, -(-box.bottom // 2), box.left // 2, -(-box.right // 2))
        return Region(some, -(-self.height // 2), -(-self.width // 2))

    def part(self, maps: Tensor) -> Tensor:
        """What lies in the region of (..., h, w) maps of the frame, at stride 16 or finer: a view."""
        return maps[(..., *self.box.at(maps.shape[-2] // self.height))]

    def placed(self, maps: Tensor, fill: float = 0.0) -> Tensor:
        """Maps (B, C, h, w) or (K, h, w) of the region, at stride 16 or finer, as maps of the frame, which hold `fill`
        elsewhere."""
        factor = maps.shape[-2] // (self.box.bottom - self.box.top)
        shape = (*maps.shape[:-2], self.height * factor, self.width * factor)
        layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
        whole = torch.empty(shape, dtype=maps.dtype, device=maps.device, memory_format=layout).fill_(fill)
        self.part(whole).copy_(maps)
        return whole

    def renewed(self, maps: Tensor, part: Tensor) -> Tensor:
        """A copy of (..., h, w) maps of the frame in which maps of the region, or flat rows of their cells, are new."""
        whole = maps.clone()
        target = self.part(whole)
        target.copy_(part.view(target.shape))
        return whole


def region_of_interest(masks: Tensor) -> Region | None:
    """Where the next frame has to be looked at.

    Args:
        masks: (K, h, w) soft masks in 0..1 of the frame before, at stride 16.

    Returns:
        A region that holds all objects and what they may reach until then, the whole frame where that is nearly all of
        it; None where an object was nowhere, so that it may come back anywhere.
    """
    cells = (masks > LEAST_PROBABILITY).cpu().numpy()
    if not cells.any((1, 2)).all():
        return None
    found = extent(np.asarray(cells.any(0)))
    assert found is not None
    height, width = cells.shape[1:]
    box = Box(*_grown(found.top, found.bottom, height), *_grown(found.left, found.right, width))
    if (box.bottom - box.top) * (box.right - box.left) > LARGEST * height * width:
        box = Box(0, height, 0, width)
    return Region(box, height, width)


def read_from(masks: Sequence[Tensor], region: Region) -> Box:
    """What of remembered frames is read for a region: cells near it, and wherever the objects were.

    Args:
        masks: (K, h, w) soft masks in 0..1 of each remembered frame, at stride 16.
        region: that is looked at.
    """
    top, left = max(0, region.box.top - AROUND), max(0, region.box.left - AROUND)
    around = Box(top, region.box.bottom + AROUND, left, region.box.right + AROUND)
    cells = covered([around], region.height, region.width, 1)
    for mask in masks:
        cells |= (mask > LEAST_PROBABILITY).any(0).cpu().numpy()
    found = extent(cells)
    assert found is not None
    rows = widened(found.top, found.bottom, region.height, SIZE_MULTIPLE)
    return Box(*rows, *widened(found.left, found.right, region.width, SIZE_MULTIPLE))


def boxes_within(masks: Tensor, region: Region) -> tuple[Box, ...] | None:
    """Where in a region each object has to be looked for.

    Args:
        masks: as of `region_of_interest`.
        region: that it found.

    Returns:
        For each object a box of cells of the region; None where that is nearly all of it for all of them, or for the
        only one.
    """
    if len(masks) == 1:
        return None  # the region is its box
    seen = (region.part(masks) > LEAST_PROBABILITY).cpu().numpy()
    height, width = seen.shape[1:]
    boxes, cells = [], 0
    for found in map(extent, seen):
        assert found is not None
        box = Box(*_grown(found.top, found.bottom, height), *_grown(found.left, found.right, width))
        boxes.append(box)
        cells += (box.bottom - box.top) * (box.right - box.left)
    return tuple(boxes) if cells < LARGEST * len(boxes) * height * width else None


def _grown(first: int, last: int, length: int) -> tuple[int, int]:
    """Grow a range of cells on both sides to one of a few sizes, within the frame."""
    size = rounded_up(last - first + 2 * REACH, SIZE_MULTIPLE)
    if size >= length:
        return 0, length
    start = min(max(0, (first + last - size) // 2), length - size) // 2 * 2  # cells are averaged in pairs
    end = start + size
    return start, length if end >= length - 1 else end


def vanished(masks: Tensor) -> bool:
    """Whether an object is nowhere on (K, h, w) soft masks in 0..1, at stride 16 or finer."""
    return bool((masks.flatten(1).amax(1) <= 0.5).any())


def beyond(found: np.ndarray, region: Region) -> bool:
    """Whether any true cell of an (h, w) bool map at stride 16 lies outside of a region."""
    return bool(np.count_nonzero(found) > np.count_nonzero(found[region.box.at(1)]))


def at_border(masks: Tensor, region: Region, near: Sequence[Box] | None = None) -> bool:
    """Whether an object comes near to the border of a region inside of the frame, so that it may go on beyond.

    Args:
        masks: (K, h, w) soft masks in 0..1 of the whole frame, at stride 16 or finer.
        region: that was looked at.
        near: where in it each object was looked for, None for everywhere.
    """
    if near is None:
        return _at_border((region.part(masks) > 0.5).any(0), region)
    top, left = region.box.top, region.box.left
    for mask, box in zip(masks, near, strict=True):
        own = Box(box.top + top, box.bottom + top, box.left + left, box.right + left)
        part = replace(region, box=own)
        if _at_border(part.part(mask) > 0.5, part):
            return True
    return False


def _at_border(inside: Tensor, region: Region) -> bool:
    box = region.box
    ring = BORDER * (inside.shape[0] // (box.bottom - box.top))
    sides = [
        (box.top > 0, inside[:ring]),
        (box.bottom < region.height, inside[-ring:]),
        (box.left > 0, inside[:, :ring]),
        (box.right < region.width, inside[:, -ring:]),
    ]
    return any(goes_on and bool(cells.any()) for goes_on, cells in sides)
