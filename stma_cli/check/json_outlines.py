"""The outlines in stma's own JSON, labelme's and COCO's, and where those go that take the place of one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from stma_cli.masks.labelme import POLYGON_TYPES

Polygon = list[list[float]]


@dataclass(frozen=True)
class JsonOutline:
    """One outline of a file.

    Attributes:
        what: its place for messages, such as "shape 2 ('dog')".
        raw: its points, as they stand in the file.
        size: columns and rows of the picture it was drawn on.
        replace: puts any number of outlines in its place.
    """

    what: str
    raw: Any
    size: tuple[int, int]
    replace: Callable[[list[Polygon]], None]


def json_outlines(content: Any, width: int, height: int) -> list[JsonOutline] | None:
    """Return the outlines of a parsed file that its reader takes, None where its format has none or is not known.

    Args:
        content: the parsed JSON, in which `JsonOutline.replace` works.
        width, height: size of the video, for files that do not say their own.

    Raises:
        AttributeError, KeyError, TypeError, ValueError, OverflowError: when a field is missing or of the wrong kind.
    """
    if not isinstance(content, dict):
        return None
    if "stma" in content:
        return list(_of_stma(content))
    if "shapes" in content:
        return list(_of_labelme(content, width, height))
    if "annotations" in content and len(content.get("images", [])) == 1:
        return list(_of_coco(content, width, height))
    return None


def _of_stma(content: dict[str, Any]) -> Iterator[JsonOutline]:
    size = content["width"], content["height"]
    for number, entry in enumerate(content["objects"], start=1):
        for field in ("polygons", "holes"):
            polygons = entry.get(field, [])
            for raw in polygons:
                replace = partial(_put, polygons, raw)
                yield JsonOutline(f"object {number}, {field[:-1]}", raw, size, replace)


def _of_labelme(content: dict[str, Any], width: int, height: int) -> Iterator[JsonOutline]:
    size = int(content.get("imageWidth") or width), int(content.get("imageHeight") or height)
    shapes = content["shapes"] or []
    for number, shape in enumerate(shapes, start=1):
        if shape.get("shape_type") in POLYGON_TYPES:
            what = f"shape {number} ('{shape.get('label')}')"
            yield JsonOutline(what, shape["points"], size, partial(_put_shapes, shapes, shape))


def _of_coco(content: dict[str, Any], width: int, height: int) -> Iterator[JsonOutline]:
    picture = content["images"][0]
    size = int(picture.get("width") or width), int(picture.get("height") or height)
    for number, row in enumerate(content["annotations"], start=1):
        found = row.get("segmentation")
        if not isinstance(found, list) or not found or row.get("image_id") != picture.get("id"):
            continue
        polygons = [found] if isinstance(found[0], int | float) else found
        for raw in polygons:
            replace = partial(_put_flat, row, polygons, raw)
            yield JsonOutline(f"annotation {row.get('id', number)}", raw, size, replace)


def _put(items: list[Any], old: Any, new: list[Any]) -> None:
    place = next(place for place, item in enumerate(items) if item is old)
    items[place : place + 1] = new


def _put_shapes(shapes: list[dict[str, Any]], shape: dict[str, Any], outlines: list[Polygon]) -> None:
    """Replace a labelme shape; where it becomes several they get a group id, so that they stay one object."""
    group = shape.get("group_id")
    if group is None and len(outlines) > 1:
        groups = (other.get("group_id") for other in shapes)
        group = max((number for number in groups if isinstance(number, int)), default=0) + 1
    _put(shapes, shape, [{**shape, "points": outline, "group_id": group} for outline in outlines])


def _put_flat(row: dict[str, Any], polygons: list[Any], raw: Any, outlines: list[Polygon]) -> None:
    _put(polygons, raw, [[number for point in outline for number in point] for outline in outlines])
    row["segmentation"] = polygons
