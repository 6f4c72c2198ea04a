"""Polygons to masks, after checking that they are inside the frame and do not cross themselves.

Coordinates are pixels with the origin at the corner of the top left pixel: a pixel's centre is at +0.5, and
a pixel belongs to a polygon when its centre does.
"""

from typing import Any

import numpy as np

from stma.errors import AnnotationError, CrossingError, OutsideFrameError, TooFewPointsError

FRAME_TOLERANCE = 1.0  # pixels; tools round to pixel edges differently
EDGES_AT_ONCE = 64  # compared with all edges near them in one go, which bounds memory for traced outlines


def read_points(raw: Any, what: str) -> np.ndarray:
    """Return (N, 2) float64 (x, y) from JSON: a list of pairs, or COCO's flat list.

    Args:
        raw: the parsed JSON value.
        what: the polygon, for messages, such as "a.json: the polygon of 'dog'".

    Raises:
        AnnotationError: when it is no list of finite points.
        TooFewPointsError: when fewer than three of them differ.
    """
    try:
        points = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"{what} is not a list of points", "give [[x, y], [x, y], ...]") from error
    if points.ndim == 1 and points.size % 2 == 0:
        points = points.reshape(-1, 2)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise AnnotationError(f"{what} is not a list of points", "give [[x, y], [x, y], ...]")
    repeats_before = np.all(points == np.roll(points, 1, axis=0), axis=1)
    points = points[~repeats_before] if not repeats_before.all() else points[:1]
    if len(points) < 3:
        raise TooFewPointsError(f"{what} has fewer than three different points", "draw it again")
    return points


def require_inside(points: np.ndarray, width: int, height: int, what: str) -> None:
    """Refuse a polygon that leaves the frame by more than a pixel.

    Raises:
        OutsideFrameError: naming the farthest coordinate.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    for axis, limit, name in ((0, width, "x"), (1, height, "y")):
        for value in (low[axis], high[axis]):
            if value < -FRAME_TOLERANCE or value > limit + FRAME_TOLERANCE:
                raise OutsideFrameError(
                    f"{what} reaches {name} = {value:g}, outside the frame of {width}x{height} pixels",
                    "move its points into the picture, or give the JSON that was drawn on this video",
                )


def require_simple(points: np.ndarray, what: str) -> None:
    """Refuse a polygon whose edges cross.

    Args:
        points: as `is_simple` takes them.
        what: the polygon, for messages.

    Raises:
        CrossingError: with the place of the first crossing.
    """
    crossing = _first_crossing(points)
    if crossing is not None:
        x, y = crossing
        raise CrossingError(
            f"{what} crosses itself near x = {x:.0f}, y = {y:.0f}",
            "draw it again as one simple outline, or as several polygons of the same object",
        )


def is_simple(points: np.ndarray) -> bool:
    """Return whether no edges of a polygon cross; edges that only touch are fine.

    Args:
        points: (N, 2) float (x, y), the last point joined to the first.
    """
    return _first_crossing(points) is None


def fill_polygon(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Rasterise one polygon by the even-odd rule at pixel centres.

    Args:
        points: (N, 2) float (x, y) in pixels; parts outside the frame are cut off.
        width: columns of the mask.
        height: rows of the mask.

    Returns:
        (height, width) bool.
    """
    return np.asarray(_windings(points, width, height) % 2 == 1)


def fill_wound(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Rasterise all that one polygon goes round, also where it overlaps itself; see `fill_polygon`."""
    return np.asarray(_windings(points, width, height) != 0)


def _windings(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return (height, width) int32: how often the polygon goes round each pixel centre, with sign."""
    steps = np.zeros((height, width + 1), dtype=np.int32)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        direction = 1
        if y0 > y1:
            x0, y0, x1, y1, direction = x1, y1, x0, y0, -1
        rows = np.arange(max(0, int(np.ceil(y0 - 0.5))), min(height, int(np.ceil(y1 - 0.5))))
        if len(rows):  # each row whose centre the edge passes, once; columns right of the edge change sides
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            steps[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)] += direction
    return np.cumsum(steps[:, :width], axis=1)


def rectangle(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the (4, 2) corners of the box between two opposite (x, y) corners."""
    (x0, y0), (x1, y1) = first, second
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)


def circle(centre: np.ndarray, on_edge: np.ndarray) -> np.ndarray:
    """Return (N, 2) points of a circle, at most half a pixel apart from the true line."""
    radius = float(np.hypot(*(on_edge - centre)))
    count = max(12, int(np.ceil(np.pi * np.sqrt(max(radius, 1.0)) * 2)))
    angles = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    return centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _side(a: np.ndarray, b: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return -1, 0 or 1: on which side of the line a-b each point lies."""
    ahead, aside = b - a, point - a
    return np.asarray(np.sign(ahead[..., 0] * aside[..., 1] - ahead[..., 1] * aside[..., 0]))


def _first_crossing(points: np.ndarray) -> np.ndarray | None:
    """Return (x, y) where two edges cross, None where none do."""
    following = np.roll(points, -1, axis=0)
    left, right = np.minimum(points, following), np.maximum(points, following)
    order = np.argsort(left[:, 0])  # neighbours in x together, so that few edges can meet those of one group
    for first in range(0, len(points), EDGES_AT_ONCE):
        group = order[first : first + EDGES_AT_ONCE]
        near = (left <= right[group].max(axis=0)).all(axis=1) & (right >= left[group].min(axis=0)).all(axis=1)
        others = np.flatnonzero(near)
        a, b = points[group, None], following[group, None]  # (R, 1, 2) against (1, N, 2)
        c, d = points[None, others], following[None, others]
        crosses = (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)
        if crosses.any():
            row, column = np.argwhere(crosses)[0]
            edge, other = group[row], others[column]
            return _crossing(points[edge], following[edge], points[other], following[other])
    return None


def _crossing(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    direction, other = b - a, d - c
    across = direction[0] * other[1] - direction[1] * other[0]
    offset = c - a
    return np.asarray(a + direction * (offset[0] * other[1] - offset[1] * other[0]) / across)
