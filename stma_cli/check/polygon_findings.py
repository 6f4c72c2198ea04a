"""Outlines of annotation files that cross themselves or leave the frame: all of them, not only the first."""

from collections.abc import Iterator
from typing import Any

from stma.errors import AnnotationError, CrossingError, OutsideFrameError
from stma_cli.check.findings import Finding, from_error
from stma_cli.masks.labelme import POLYGON_TYPES
from stma_cli.masks.polygons import read_points, require_inside, require_simple

_CODES: dict[type[AnnotationError], str] = {CrossingError: "crossing", OutsideFrameError: "outside"}


def outline_findings(content: Any, file: str, width: int, height: int) -> list[Finding]:
    """Return a finding per polygon that the readers will refuse.

    Args:
        content: the parsed JSON; of a format or shape that is not known, nothing is said here.
        file: the file, for messages.
        width, height: size of the video, for files that do not say their own.
    """
    findings = []
    try:
        for what, raw, columns, rows in _outlines(content, width, height):
            named = f"{file}: {what}"
            try:
                points = read_points(raw, named)
                require_simple(points, named)
                require_inside(points, columns, rows, named)
            except AnnotationError as error:
                findings.append(from_error(error, _CODES.get(type(error), "polygon"), file))
    except (AttributeError, KeyError, TypeError, ValueError):
        return []  # the reader of the format names the field
    return findings


def _outlines(content: Any, width: int, height: int) -> Iterator[tuple[str, Any, int, int]]:
    """Yield what it is, the raw points, and the size of the picture they were drawn on."""
    if not isinstance(content, dict):
        return
    if "stma" in content:
        for number, entry in enumerate(content["objects"], start=1):
            for field in ("polygons", "holes"):
                for raw in entry.get(field, []):
                    yield f"object {number}, {field[:-1]}", raw, content["width"], content["height"]
    elif "shapes" in content:
        size = int(content.get("imageWidth") or width), int(content.get("imageHeight") or height)
        for number, shape in enumerate(content["shapes"] or [], start=1):
            if shape.get("shape_type") in POLYGON_TYPES:
                yield f"shape {number} ('{shape.get('label')}')", shape["points"], *size
    elif "annotations" in content and len(content.get("images", [])) == 1:
        picture = content["images"][0]
        size = int(picture.get("width") or width), int(picture.get("height") or height)
        for number, row in enumerate(content["annotations"], start=1):
            polygons = row.get("segmentation")
            if not isinstance(polygons, list) or not polygons or row.get("image_id") != picture.get("id"):
                continue
            for raw in [polygons] if isinstance(polygons[0], int | float) else polygons:
                yield f"annotation {row.get('id', number)}", raw, *size
