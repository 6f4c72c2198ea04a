"""labelme JSON: polygons, rectangles, circles and embedded masks."""

import base64
import binascii
import io
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stma.errors import AnnotationError
from stma_cli.frame_files import files_in
from stma_cli.masks.annotation import Annotation, LabelPainter, ObjectIds, numbered
from stma_cli.masks.fit import Fit, fit_size
from stma_cli.masks.polygons import circle, read_points, rectangle
from stma_cli.masks.shapes import finished, outline_mask
from stma_cli.masks.yolo import CLIP_FILE
from stma_cli.note import Note
from stma_cli.result_layout import NAMES_FILE, REPORT_FILE

POLYGON_TYPES = ("polygon", "oriented_rectangle", "rotation", None, "")


def read_labelme(
    content: dict[str, Any], source: str, width: int, height: int, object_ids: ObjectIds
) -> Annotation:
    """Read a labelme file.

    Shapes with the same label and group id are one object. Shapes of a label without a group id are one
    object each, as in labelme's own converters, named "dog", "dog 2", ... A label that is a whole number is
    the object's id, which no name in the file gets. Where shapes overlap, the later in the file wins.

    Raises:
        AnnotationError: when a shape has no area, crosses itself or leaves the frame, or a name and a number
            stand for the same object.
        MaskError: when the size does not fit the video.
    """
    fit = fit_size(
        int(content.get("imageWidth") or width),
        int(content.get("imageHeight") or height),
        width,
        height,
        source,
    )
    painter = LabelPainter(width, height)
    alone: Counter[str] = Counter()
    shapes = content["shapes"] or []
    stated = stated_ids(shapes)
    for object_id in stated:
        object_ids.reserve(object_id)
    for number, shape in enumerate(shapes, start=1):
        if not isinstance(shape, dict) or not isinstance(shape.get("points"), list):
            raise AnnotationError(
                f"{source}: shape {number} has no points", "save the file again with labelme"
            )
        label = str(shape.get("label") or f"object {number}").strip()
        what = f"{source}: shape {number} ('{label}')"
        mask = _shape_mask(shape, fit, what)
        group = shape.get("group_id")
        if label.isdecimal():
            object_id = int(label)
        else:
            alone[label] += group is None
            key, name = shape_identity(label, group, alone[label])
            object_id = object_ids.id_for(key, name)
            if object_id in stated:
                raise AnnotationError(
                    f"{what} is object {object_id} in an earlier mask, and another shape is labelled "
                    f"'{object_id}'",
                    "give one of them another label",
                )
        painter.paint(object_id, mask)
    notes = [
        Note(
            "labels",
            f"{count} shapes are labelled {label}: taken as {count} objects (one group id in labelme makes them one)",
        )
        for label, count in alone.items()
        if count > 1
    ]
    drawn_on = str(content.get("imagePath") or "") or None
    return replace(finished(painter, object_ids, fit, source, notes), picture=drawn_on)


def stated_ids(shapes: Iterable[Any]) -> set[int]:
    """Return the labels that are whole numbers, which are the ids of their objects."""
    labels = (str(shape.get("label") or "").strip() for shape in shapes if isinstance(shape, dict))
    return {int(label) for label in labels if label.isdecimal()}


def shape_identity(label: str, group: Any, count: int) -> tuple[Hashable, str]:
    """Return the key and the name of the object that a shape belongs to.

    Args:
        label: the shape's label.
        group: its group id, None where it has none.
        count: how many shapes of that label without a group id there were, with this one.
    """
    if group is not None:
        return (label, "group", str(group)), label
    name = numbered(label, count)
    return name, name


def _shape_mask(shape: dict[str, Any], fit: Fit, what: str) -> np.ndarray:
    kind, raw = shape.get("shape_type"), shape["points"]
    if kind in POLYGON_TYPES or (kind == "rectangle" and len(raw) == 4):
        return outline_mask(read_points(raw, what), fit, what)
    if kind not in ("rectangle", "circle", "mask"):
        raise AnnotationError(f"{what} is a {kind}, which has no area", "draw a polygon round the object")
    corners = _two_points(raw, what)
    if kind == "rectangle":
        return outline_mask(rectangle(corners[0], corners[1]), fit, what)
    if kind == "circle":
        if not np.hypot(*(corners[1] - corners[0])) <= fit.source_width + fit.source_height:
            raise AnnotationError(f"{what} is a circle larger than the picture", "draw it again")
        return outline_mask(circle(corners[0], corners[1]), fit, what, may_leave_frame=True)
    return fit.labels(_embedded_mask(shape.get("mask"), corners, fit, what), what).astype(bool)


def _two_points(raw: Any, what: str) -> np.ndarray:
    try:
        points = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.shape != (2, 2) or not np.isfinite(points).all():
        raise AnnotationError(f"{what} needs exactly two points", "draw it again")
    return points


def _embedded_mask(encoded: Any, corners: np.ndarray, fit: Fit, what: str) -> np.ndarray:
    """Place the base64 PNG of a labelme mask shape in its box; returns (H, W) uint8 0 or 1."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(encoded, validate=True))) as image:
            part = np.asarray(image.convert("L")) > 0
    except (TypeError, binascii.Error, OSError, ValueError, Image.DecompressionBombError) as error:
        raise AnnotationError(f"{what} has a damaged mask", "save the file again with labelme") from error
    plane = np.zeros((fit.source_height, fit.source_width), dtype=np.uint8)
    left, top = np.round(corners.min(axis=0)).astype(int)
    rows, columns = part.shape
    if left < 0 or top < 0 or top + rows > plane.shape[0] or left + columns > plane.shape[1]:
        raise AnnotationError(
            f"{what} leaves the frame of {fit.source_width}x{fit.source_height} pixels",
            "give the JSON that was drawn on this video",
        )
    plane[top : top + rows, left : left + columns] = part
    return plane


def labelme_files(path: Path) -> list[Path]:
    """Return the JSON files of a folder in natural order; those that stma writes beside masks are left out."""
    own = (NAMES_FILE, REPORT_FILE, CLIP_FILE)
    return [file for file in files_in(path, ".json") if file.name not in own]
