"""Repairs outlines in labelme, COCO and stma's own JSON, as far as there is only one sensible way, into a new file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stma.errors import AnnotationError, CrossingError, MaskError, OutsideFrameError, TooFewPointsError
from stma.saving import replacing
from stma_cli.convert.outlines import outlines
from stma_cli.masks.json_file import load_json
from stma_cli.masks.labelme import POLYGON_TYPES
from stma_cli.masks.polygons import fill_wound, read_points, require_inside, require_simple
from stma_cli.readable_json import readable_json
from stma_cli.wording import counted, has_wrong_field

MOST_OUTSIDE = 0.5  # of the points; an outline that is mostly outside was drawn on another picture
Polygon = list[list[float]]


@dataclass
class _Mender:
    """Mends the outlines of one file and remembers what it did."""

    source: str
    columns: int
    rows: int
    changes: list[str] = field(default_factory=list)

    def mend(self, raw: Any, what: str) -> list[Polygon] | None:
        """Return the outlines that take the place of one, None where it can stay as it is.

        Raises:
            AnnotationError: when there is no sensible repair.
        """
        named = f"{self.source}: {what}"
        try:
            points = read_points(raw, named)
        except TooFewPointsError:
            self.changes.append(f"{what} removed, it has fewer than three points")
            return []
        moved = self._moved_inside(points, what, named)
        try:
            require_simple(moved, named)
        except CrossingError:
            found = [loop.tolist() for loop in outlines(fill_wound(moved, self.columns, self.rows))]
            self.changes.append(f"{what} crossed itself, now {counted(len(found), 'simple outline')}")
            return found
        return None if moved is points else [moved.tolist()]

    def _moved_inside(self, points: np.ndarray, what: str, named: str) -> np.ndarray:
        try:
            require_inside(points, self.columns, self.rows, named)
        except OutsideFrameError:
            inside = np.asarray(np.clip(points, 0, [self.columns, self.rows]))
            count = int((inside != points).any(axis=1).sum())
            if count > MOST_OUTSIDE * len(points):
                raise
            self.changes.append(f"{counted(count, 'point')} of {what} moved to the edge of the picture")
            return inside
        return points


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
        MaskError: when the file cannot be repaired without guessing.
    """
    content, source = load_json(path), str(path)
    try:
        changes = _mended(content, source, width, height)
    except AnnotationError as error:
        raise MaskError(str(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MaskError(has_wrong_field(path, error)) from error
    if changes:
        with replacing(out) as temporary:
            temporary.write_text(readable_json(content, indent=2) + "\n", "utf-8")
    return tuple(changes)


def _mended(content: Any, source: str, width: int, height: int) -> list[str]:
    """Mend the outlines in place."""
    if isinstance(content, dict) and "stma" in content:
        mender = _Mender(source, content["width"], content["height"])
        for number, entry in enumerate(content["objects"], start=1):
            for name in ("polygons", "holes"):
                entry[name] = _replaced(entry.get(name, []), mender, f"object {number}, {name[:-1]}")
    elif isinstance(content, dict) and "shapes" in content:
        mender = _Mender(source, *_size(content, "imageWidth", "imageHeight", width, height))
        content["shapes"] = _shapes(content["shapes"], mender)
    elif isinstance(content, dict) and "annotations" in content and len(content.get("images", [])) == 1:
        mender = _Mender(source, *_size(content["images"][0], "width", "height", width, height))
        for number, row in enumerate(content["annotations"], start=1):
            found = row.get("segmentation")
            if isinstance(found, list) and found:
                polygons = [found] if isinstance(found[0], int | float) else found
                what = f"annotation {row.get('id', number)}"
                row["segmentation"] = _replaced(polygons, mender, what, flat=True)
    else:
        raise MaskError(f"{source} is of no kind that --fix repairs: move its points as told.")
    return mender.changes


def _shapes(shapes: list[dict[str, Any]], mender: _Mender) -> list[dict[str, Any]]:
    """Return labelme shapes; one that becomes several gets a group id, so that they stay one object."""
    groups = (shape.get("group_id") for shape in shapes)
    next_group = max((group for group in groups if isinstance(group, int)), default=0) + 1
    result = []
    for number, shape in enumerate(shapes, start=1):
        polygons = None
        if shape.get("shape_type") in POLYGON_TYPES:
            polygons = mender.mend(shape["points"], f"shape {number} ('{shape.get('label')}')")
        if polygons is None:
            result.append(shape)
            continue
        group = shape.get("group_id")
        if group is None and len(polygons) > 1:
            group, next_group = next_group, next_group + 1
        result += [{**shape, "points": polygon, "group_id": group} for polygon in polygons]
    return result


def _replaced(polygons: list[Any], mender: _Mender, what: str, flat: bool = False) -> list[Any]:
    result: list[Any] = []
    keep: Callable[[Polygon], Any] = (
        (lambda polygon: [x for point in polygon for x in point]) if flat else list
    )
    for raw in polygons:
        mended = mender.mend(raw, what)
        result += [raw] if mended is None else [keep(polygon) for polygon in mended]
    return result


def _size(row: dict[str, Any], wide: str, high: str, width: int, height: int) -> tuple[int, int]:
    return int(row.get(wide) or width), int(row.get(high) or height)
