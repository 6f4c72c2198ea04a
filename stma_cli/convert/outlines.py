"""Masks to polygons without holes, which every polygon format can hold."""

from collections.abc import Iterator

import numpy as np

from stma_cli.masks.polygons import is_simple

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # right, down, left, up as (x, y), y down


def outlines(mask: np.ndarray, tolerance: float = 0.0) -> list[np.ndarray]:
    """Return polygons that cover a mask exactly: filled at pixel centres, they give it back.

    Parts that touch only at corners become polygons of their own. A part with a hole is cut in two along the
    column through the hole, and again until no hole is left.

    Args:
        mask: (H, W) bool.
        tolerance: pixels by which an outline may be simplified; 0 keeps every corner of the pixels.

    Returns:
        (N, 2) float64 arrays of (x, y), clockwise on the screen, origin at the corner of the top left pixel.
    """
    import cv2

    found: list[np.ndarray] = []
    waiting = [(np.asarray(mask, dtype=np.uint8), 0, 0)]
    while waiting:
        piece, left, top = waiting.pop()
        _, labels, boxes, _ = cv2.connectedComponentsWithStats(piece, connectivity=4)
        for label, (x, y, width, height, _) in enumerate(boxes[1:], start=1):
            part = labels[y : y + height, x : x + width] == label
            loops = list(_trace(part))
            holes = [loop for loop in loops if _signed_area(loop) < 0]
            if not holes:
                found += [_simplified(loop + np.array([left + x, top + y]), tolerance) for loop in loops]
                continue
            middles = [int(hole[:, 0].min() + hole[:, 0].max()) // 2 for hole in holes]
            cut = min(middles, key=lambda column: abs(column - width / 2))
            part = part.astype(np.uint8)
            waiting.append((part[:, :cut], left + x, top + y))
            waiting.append((part[:, cut:], left + x + cut, top + y))
    return found


def _trace(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the closed loops along pixel edges: outer ones clockwise, holes counterclockwise."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    exits = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.uint8)  # bit d: an edge leaves that way
    exits[:-1, :-1] |= inside & ~padded[:-2, 1:-1]
    exits[:-1, 1:] |= (inside & ~padded[1:-1, 2:]).astype(np.uint8) << 1
    exits[1:, 1:] |= (inside & ~padded[2:, 1:-1]).astype(np.uint8) << 2
    exits[1:, :-1] |= (inside & ~padded[1:-1, :-2]).astype(np.uint8) << 3
    rows, columns = np.nonzero(exits)
    left = dict(
        zip(zip(columns.tolist(), rows.tolist(), strict=True), exits[rows, columns].tolist(), strict=True)
    )
    for start in list(left):
        while left[start]:
            direction = (left[start] & -left[start]).bit_length() - 1
            yield np.array(_walk(left, start, direction), dtype=np.float64)


def _walk(left: dict[tuple[int, int], int], start: tuple[int, int], first: int) -> list[tuple[int, int]]:
    """Follow one loop from a vertex, use up its edges, and return its corners."""
    corners: list[tuple[int, int]] = []
    vertex, direction, before = start, first, -1
    while True:
        left[vertex] ^= 1 << direction
        if direction != before:
            corners.append(vertex)
        before = direction
        step = _STEPS[direction]
        vertex = (vertex[0] + step[0], vertex[1] + step[1])
        exits = left[vertex]
        for turn in (1, 0, 3):  # right before left, so that pixels which touch at a corner stay apart
            following = (direction + turn) % 4
            if exits >> following & 1:
                direction = following
                break
        else:
            break
    if before == first:
        corners = corners[1:]  # the loop began in the middle of a side
    return corners


def _signed_area(loop: np.ndarray) -> float:
    x, y = loop[:, 0], loop[:, 1]
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def _simplified(loop: np.ndarray, tolerance: float) -> np.ndarray:
    """Drop corners within the tolerance; the exact outline stays where the result would be no outline."""
    import cv2

    if tolerance <= 0:
        return loop
    fewer = cv2.approxPolyDP(loop.astype(np.float32)[:, None], tolerance, True)[:, 0].astype(np.float64)
    is_outline = len(fewer) >= 3 and _signed_area(fewer) > 0 and is_simple(fewer)
    return fewer if is_outline else loop
