"""What went on with the objects: lost and returned, flicker, jumps, doubtful stretches.

All numbers are rows of `Results`, from 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from stma_cli.report_page.results import Results

LONGEST_FLICKER = 2  # frames; an object that is away longer is lost
FLICKER_FACTOR = 1.6  # by which the area differs from its neighbours on both sides
JUMP_FACTOR = 1.8  # by which the area differs before and after
JUMP_WINDOW = 5  # frames before and after that are compared
FLICKERS_APART = 10  # frames; nearer ones are told as one
LEAST_CHANGE = 2e-4  # of the frame's pixels; smaller changes are noise
UNSURE_BELOW = 0.5  # confidence
UNSURE_DROP = 0.2  # below what is usual for the object
SHORTEST_UNSURE = 5  # frames


class Kind(StrEnum):
    """Kinds of event."""

    LOST = "lost"
    FLICKER = "flicker"
    JUMP = "jump"
    UNSURE = "unsure"


@dataclass(frozen=True)
class Event:
    """Something that happened to one object.

    Attributes:
        kind: what it was.
        object_id: to whom.
        first, last: rows, both included: away, flickering or doubtful; a jump is between `first` - 1 and `first`.
        amount: LOST: 1 if the object came back, else 0. FLICKER: how often. JUMP: area after / area before.
            UNSURE: lowest confidence.
    """

    kind: Kind
    object_id: int
    first: int
    last: int
    amount: float


def find_events(results: Results) -> list[Event]:
    """Return the events of all objects in order of time."""
    found: list[Event] = []
    least = LEAST_CHANGE * results.size[0] * results.size[1]
    for column, object_id in enumerate(results.ids):
        area, confidence = results.area[:, column], results.confidence[:, column]
        lost: list[Event] = []
        blinks: list[int] = []
        for first, last in _gaps(area):
            if last - first + 1 > LONGEST_FLICKER or last + 1 == len(area):
                lost.append(Event(Kind.LOST, object_id, first, last, float(last + 1 < len(area))))
            else:
                blinks += range(first, last + 1)
        found += lost
        found += _flickers(object_id, sorted({*blinks, *_spikes(area, least)}))
        found += _jumps(object_id, area, least, results.annotated_rows)
        found += _unsure(object_id, area, confidence)
    return sorted(found, key=lambda event: (event.first, event.object_id, event.kind))


def runs(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield first and last index of every run of True in a (N,) bool array."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        yield int(first), int(stop) - 1


def _gaps(area: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the runs of rows where an object that was seen before is not."""
    seen = np.flatnonzero(area > 0)
    if seen.size:
        away = ~(area > 0)
        away[: seen[0]] = False
        yield from runs(away)


def _spikes(area: np.ndarray, least: float) -> list[int]:
    """Return single rows that stand out from two alike rows on each side."""
    if len(area) < 5:
        return []
    before, after = np.minimum(area[:-4], area[1:-3]), np.minimum(area[3:-1], area[4:])
    before_top, after_top = np.maximum(area[:-4], area[1:-3]), np.maximum(area[3:-1], area[4:])
    here = area[2:-2]
    low, high = np.minimum(before, after), np.maximum(before_top, after_top)
    grown = (here > FLICKER_FACTOR * high) & (here - high > least)
    shrunk = (FLICKER_FACTOR * here < low) & (low - here > least) & (here > 0)
    return [int(row) + 2 for row in np.flatnonzero((grown | shrunk) & (low > 0))]


def _flickers(object_id: int, rows: list[int]) -> Iterator[Event]:
    """Join rows that are near each other."""
    for group in np.split(rows, np.flatnonzero(np.diff(rows) > FLICKERS_APART) + 1) if rows else ():
        yield Event(Kind.FLICKER, object_id, int(group[0]), int(group[-1]), len(group))


def _jumps(object_id: int, area: np.ndarray, least: float, annotated: tuple[int, ...]) -> Iterator[Event]:
    """Find steps between two steady levels, the steepest of each neighbourhood, and not at an annotation."""
    width = JUMP_WINDOW
    if len(area) < 2 * width or not (area > 0).any():
        return
    windows = np.lib.stride_tricks.sliding_window_view(area, width)
    level, steady = np.median(windows, axis=1), windows.max(axis=1) < FLICKER_FACTOR * windows.min(axis=1)
    before, after = level[:-width], level[width:]  # of the rows r - width .. r - 1 and r .. r + width - 1
    usable = steady[:-width] & steady[width:] & (before > 0) & (after > 0) & (np.abs(after - before) > least)
    ratio = np.where(usable, after / np.where(before > 0, before, 1), 1)
    size = np.abs(np.log(np.where(usable, ratio, 1)))
    size[size < np.log(JUMP_FACTOR)] = 0
    while size.any():
        place = int(size.argmax())
        row = place + width
        if not any(abs(row - given) <= 1 for given in annotated):
            yield Event(Kind.JUMP, object_id, row, row, float(ratio[place]))
        size[max(0, place - width) : place + width + 1] = 0


def _unsure(object_id: int, area: np.ndarray, confidence: np.ndarray) -> Iterator[Event]:
    """Find stretches where the confidence of a visible object is low, or low for this object."""
    visible = area > 0
    if not visible.any():
        return
    usual = float(np.nanmedian(confidence[visible]))
    limit = max(UNSURE_BELOW, usual - UNSURE_DROP)
    low = visible & (np.nan_to_num(confidence, nan=1.0) < limit)
    for first, last in runs(low):
        if last - first + 1 >= SHORTEST_UNSURE:
            yield Event(Kind.UNSURE, object_id, first, last, float(confidence[first : last + 1].min()))
