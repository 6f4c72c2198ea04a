"""Label propagation within windows: each tile of the query reads the memory cells around it, and no others.

Two ways to the same sums. A CPU takes strips where windows are wide: the keys around a column of tiles are copied once,
and the window of each tile is a run of rows of that copy, cut off at the border of the frame. A GPU takes all tiles at
once, and so does a CPU where windows are narrow: few operations, at the price of a copy of every window.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stma.config import tile_side
from stma.network.affinity import (
    at_once,
    binary,
    headroom,
    multiples,
    offset_channels,
    restored,
    with_ones,
)
from stma.network.interest import extent, rounded_up
from stma.network.powers import powers_of_two

SAFE = 12.0  # largest exponent of 2: faint matches are not lost, and 16 bits still tell good ones apart


def _flattened(queries: Tensor) -> Tensor:
    """(..., C) queries as (N, C), N being the next of their `multiples`; zeros follow after the last."""
    *places, channels = queries.shape
    count = math.prod(places)
    flat = queries.new_zeros(rounded_up(count, multiples(queries.dtype)[0]), channels)
    flat[:count].view(queries.shape).copy_(queries)
    return flat


def by_strips(
    query: Tensor,
    keys: Sequence[Tensor],
    values: Sequence[Tensor],
    certainties: Sequence[Tensor],
    temperature: Tensor,
    window: int,
    wanted: np.ndarray | None = None,
) -> Tensor:
    """Sums of values with the weights certainty * exp(temperature * (cosine - 1)), for fp32 and bf16.

    The exponent is at most `SAFE` and not zero, so that faint matches do not vanish; the missing factor is applied to
    the sums.

    Args:
        query: (B, C, h, w) unit keys of the test frame.
        keys: (B, h*w, C) unit keys of each remembered frame.
        values: (B, D, h*w) of each remembered frame.
        certainties: (B, h*w) float32 above 0 of each remembered frame.
        temperature: scalar.
        window: cells that a value may travel, in rows and in columns, counted from the tile of the query.
        wanted: (h, w) bool, the cells to read for; of each tile those in the box around them are. None for all.

    Returns:
        (B, D, h, w) sums over all frames, float32; 0 where nothing was read.
    """
    height, width = query.shape[2:]
    tile = tile_side(window)
    factor = binary(temperature)
    queries = with_ones(query.permute(0, 2, 3, 1) * factor)  # (B, h, w, C+2)
    shift = (factor - SAFE).clamp(min=0)
    offsets = [offset_channels(certainty.log2() - shift, query.dtype) for certainty in certainties]
    sums = query.new_zeros((query.shape[0], values[0].shape[1], height, width), dtype=torch.float32)
    for clip in range(query.shape[0]):
        key_maps = [
            torch.cat([key[clip], offset[clip]], dim=1).view(height, width, -1)
            for key, offset in zip(keys, offsets, strict=True)
        ]
        value_maps = [value[clip].to(query.dtype).view(-1, height, width) for value in values]
        for left in range(0, width, tile):
            strip = slice(max(0, left - window), min(width, left + tile + window))
            boxes = [
                box
                for top in range(0, height, tile)
                if (box := _box(wanted, top, left, tile, (height, width)))
            ]
            _read_column(sums[clip], queries[clip], key_maps, value_maps, boxes, strip, window)
    return sums * torch.exp2((shift - factor).float())


def _box(
    wanted: np.ndarray | None, top: int, left: int, tile: int, size: tuple[int, int]
) -> tuple[slice, slice] | None:
    """Rows and columns of a tile that hold what is wanted of it, None where nothing is."""
    bottom, right = min(size[0], top + tile), min(size[1], left + tile)
    if wanted is None:
        return slice(top, bottom), slice(left, right)
    box = extent(wanted[top:bottom, left:right])
    if box is None:
        return None
    return slice(top + box.top, top + box.bottom), slice(left + box.left, left + box.right)


def _read_column(
    sums: Tensor,
    queries: Tensor,
    keys: Sequence[Tensor],
    values: Sequence[Tensor],
    boxes: Sequence[tuple[slice, slice]],
    strip: slice,
    window: int,
) -> None:
    """Write the sums for the boxes of one column of tiles, the memory's columns around which are `strip`, into (D, h,
    w), from (h, w, C) queries and keys, whose products are exponents of 2, and (D, h, w) values of each frame."""
    if not boxes:
        return
    height, _, channels = queries.shape
    tile = tile_side(window)
    tops = [box[0].start // tile * tile for box in boxes]
    first, last = max(0, tops[0] - window), min(height, tops[-1] + tile + window)
    size = (last - first, len(keys), strip.stop - strip.start)  # rows, frames, columns
    cells = multiples(queries.dtype)[1]
    near_keys = queries.new_empty(math.prod(size) + cells, channels)  # (M + cells, C)
    inside, beyond = near_keys.split([math.prod(size), cells])
    torch.stack([key[first:last, strip] for key in keys], dim=1, out=inside.view(*size, channels))
    beyond.zero_()
    near_values = torch.stack([value[:, first:last, strip] for value in values], dim=2).flatten(1)  # (D, M)
    cells_per_row = size[1] * size[2]
    for top, box in zip(tops, boxes, strict=True):
        rows = range(max(first, top - window), min(last, top + tile + window))
        start, count = (rows.start - first) * cells_per_row, len(rows) * cells_per_row
        read = rounded_up(count, cells)
        some = queries[box]  # (rows, columns, C) of the box
        flat = _flattened(some)
        weights = powers_of_two(torch.mm(near_keys[start : start + read], flat.t()))  # (cells, queries)
        some_values = near_values[:, start : start + count]
        if read > count:  # cells after the window have no values
            some_values = functional.pad(some_values, (0, read - count))
        part = torch.mm(some_values, weights)  # (D, queries)
        wanted = part[:, : some.shape[0] * some.shape[1]]
        sums[(slice(None), *box)] = wanted.unflatten(1, some.shape[:2])


def unfolded(
    query: Tensor,
    keys: Sequence[Tensor],
    values: Sequence[Tensor],
    certainties: Sequence[Tensor],
    temperature: Tensor,
    window: int,
) -> Tensor:
    """As `by_strips`, for any precision, with few operations.

    Cells beyond the border carry no weight, neither for a value nor for the sum, so they need no masking.
    """
    batch, channels, height, width = query.shape
    tile = tile_side(window)
    rows, columns = -(-height // tile), -(-width // tile)
    below, right = rows * tile - height, columns * tile - width
    side = tile + 2 * window
    factor = binary(temperature)
    tiles = functional.pad(query * factor, (0, right, 0, below))
    room = headroom(query.dtype)
    offset = -factor - math.log2(room)
    tiles = tiles.unflatten(3, (columns, tile)).unflatten(
        2, (rows, tile)
    )  # (B, C, rows, tile, columns, tile)
    tiles = with_ones(tiles.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows, columns, tile * tile, channels))
    joined = torch.stack(
        [
            torch.cat(
                [
                    key.transpose(1, 2),
                    offset_channels(certainty.log2() + offset, key.dtype).transpose(1, 2),
                    value.to(key.dtype),
                ],
                dim=1,
            )
            for key, value, certainty in zip(keys, values, certainties, strict=True)
        ],
        dim=2,
    ).unflatten(3, (height, width))  # (B, C+2+D, frames, h, w)
    joined = functional.pad(joined, (window, right + window, window, below + window))
    joined = joined.unfold(3, side, tile).unfold(
        4, side, tile
    )  # (B, C+2+D, frames, rows, columns, side, side)
    joined = joined.permute(0, 3, 4, 1, 2, 5, 6)  # (B, rows, columns, C+2+D, frames, side, side)
    rows_at_once = max(1, at_once(query.device) // (batch * columns * tile * tile * len(keys) * side * side))
    sums = []
    for top in range(0, rows, rows_at_once):
        some = slice(top, top + rows_at_once)
        near = joined[:, some].flatten(4)  # (B, some rows, columns, C+2+D, M)
        weights = powers_of_two(torch.matmul(tiles[:, some], near[:, :, :, : channels + 2]))
        sums.append(torch.matmul(weights, near[:, :, :, channels + 2 :].transpose(3, 4)).float())
    found: Tensor = restored(torch.cat(sums, dim=1), room).unflatten(
        3, (tile, tile)
    )  # (B, rows, columns, tile, tile, D)
    found = found.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, rows * tile, columns * tile)
    return found[:, :, :height, :width]
