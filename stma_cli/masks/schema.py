"""stma's own JSON: ids, names, polygons and holes, and nothing else.

    {"stma": 1, "width": 640, "height": 360,
     "objects": [{"id": 1, "name": "person",
                  "polygons": [[[10, 20], [60, 20], [60, 90]], ...],
                  "holes": [[[30, 40], [40, 40], [35, 50]], ...]}]}

Coordinates are pixels of a picture of width x height, origin at its top left corner. An object is the union
of its polygons less its holes. "name" and "holes" may be left out. Where objects overlap, the later wins.
"""

from typing import Any

import numpy as np

from stma.errors import AnnotationError
from stma.labels import LARGEST_ID
from stma_cli.masks.annotation import Annotation, LabelPainter, ObjectIds
from stma_cli.masks.fit import fit_size
from stma_cli.masks.polygons import read_points
from stma_cli.masks.shapes import finished, outline_mask

VERSION = 1


def read_schema(
    content: dict[str, Any], source: str, width: int, height: int, object_ids: ObjectIds
) -> Annotation:
    """Read a file of stma's own format.

    Raises:
        AnnotationError: when a field is missing or wrong, or a polygon cannot be used.
        MaskError: when the size does not fit the video.
    """
    if content["stma"] != VERSION:
        raise AnnotationError(
            f'{source} says "stma": {content["stma"]!r}',
            f'give a file with "stma": {VERSION}, which this version reads',
        )
    size = [content.get("width"), content.get("height")]
    if not all(isinstance(side, int) and side > 0 for side in size) or not isinstance(
        content.get("objects"), list
    ):
        raise AnnotationError(f"{source} lacks a field", 'give "width", "height" and "objects"')
    fit = fit_size(content["width"], content["height"], width, height, source)
    painter = LabelPainter(width, height)
    seen: set[int] = set()
    for number, entry in enumerate(content["objects"], start=1):
        what = f"{source}: object {number}"
        object_id = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(object_id, int) or not 1 <= object_id <= LARGEST_ID or object_id in seen:
            raise AnnotationError(
                f'{what} has no "id" of its own', f"give each a different one, 1 to {LARGEST_ID}"
            )
        seen.add(object_id)
        object_ids.reserve(object_id, str(entry["name"]) if entry.get("name") else None)
        mask = np.zeros((height, width), dtype=bool)
        for polygon in _list_of(entry, "polygons", what):
            mask |= outline_mask(read_points(polygon, f"{what}, polygon"), fit, f"{what}, polygon")
        for hole in _list_of(entry, "holes", what):
            mask &= ~outline_mask(read_points(hole, f"{what}, hole"), fit, f"{what}, hole")
        painter.paint(object_id, mask)
    return finished(painter, object_ids, fit, source)


def _list_of(entry: dict[str, Any], field: str, what: str) -> list[Any]:
    value = entry.get(field, [] if field == "holes" else None)
    if not isinstance(value, list):
        raise AnnotationError(
            f'{what} has no list "{field}"', "give a list of polygons, each [[x, y], [x, y], ...]"
        )
    return value
