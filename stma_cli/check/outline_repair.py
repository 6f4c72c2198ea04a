"""Repairs outlines in labelme, COCO and stma's own JSON, as far as there is only one sensible way, into a new file."""

from pathlib import Path

import numpy as np

from stma.errors import CrossingError, MaskError, OutsideFrameError, TooFewPointsError
from stma_cli.check.json_outlines import JsonOutline, json_outlines
from stma_cli.convert.outlines import outlines
from stma_cli.masks.image_file import require_size
from stma_cli.masks.json_file import load_json
from stma_cli.masks.polygons import fill_wound, read_points, require_inside, require_simple
from stma_cli.readable_json import write_json
from stma_cli.wording import counted, has_wrong_field

MOST_OUTSIDE = 0.5  # of the points; an outline that is mostly outside was drawn on another picture


def repair_outlines(path: Path, out: Path, width: int, height: int) -> tuple[str, ...]:
    """Write a copy of a JSON file whose outlines are simple and inside the picture; the source stays.

    Points a little outside are moved to the edge. An outline that crosses itself becomes the outlines of all it goes
    round. One without three different points is removed.

    Args:
        path: the file.
        out: the new file.
        width, height: size of the video, for files that do not say their own.

    Returns:
        A sentence per change; nothing is written where there is none.

    Raises:
        MaskError, AnnotationError: when the file cannot be repaired without guessing.
    """
    content = load_json(path)
    try:
        found = json_outlines(content, width, height)
        if found is None:
            raise MaskError(*not_repairable(path))
        changes = [change for outline in found for change in _mend(outline, str(path))]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise MaskError(*has_wrong_field(path, error)) from error
    if changes:
        write_json(out, content)
    return tuple(changes)


def not_repairable(path: Path) -> tuple[str, str]:
    """Return problem and fix of a mask that `stma check --fix` has nothing to do for, as SAM's and arrays are."""
    return (
        f"{path} is neither a picture nor JSON with the outlines of one",
        "leave --fix out, as SAM's masks, arrays and run lengths need no repair",
    )


def _mend(outline: JsonOutline, source: str) -> list[str]:
    """Put simple outlines inside the picture in the place of one, and return a sentence per change.

    Raises:
        AnnotationError: when there is no sensible repair.
        MaskError: when the picture is too large.
    """
    what, named = outline.what, f"{source}: {outline.what}"
    require_size(*outline.size, source)
    try:
        points = read_points(outline.raw, named)
    except TooFewPointsError:
        outline.replace([])
        return [f"{what} removed, it has fewer than three points"]
    points, changes = _moved_inside(points, outline, named)
    mended = [points.tolist()]
    try:
        require_simple(points, named)
    except CrossingError:
        mended = [loop.tolist() for loop in outlines(fill_wound(points, *outline.size))]
        changes.append(f"{what} crossed itself, now {counted(len(mended), 'simple outline')}")
    if changes:
        outline.replace(mended)
    return changes


def _moved_inside(points: np.ndarray, outline: JsonOutline, named: str) -> tuple[np.ndarray, list[str]]:
    try:
        require_inside(points, *outline.size, named)
    except OutsideFrameError:
        inside = np.asarray(np.clip(points, 0, outline.size))
        count = int((inside != points).any(axis=1).sum())
        if count > MOST_OUTSIDE * len(points):
            raise
        return inside, [f"{counted(count, 'point')} of {outline.what} moved to the edge of the picture"]
    return points, []
