"""What CVAT's two XML formats share: shapes with an area, their run lengths, and the head of the file.

CVAT's run lengths go row by row through the box of the mask, background first.
"""

from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from stma.bounding import bounding_window
from stma.errors import AnnotationError
from stma_cli.convert.clip import Notes
from stma_cli.masks.polygons import fill_polygon, read_points, require_inside, require_simple

ID_ATTRIBUTE = "track_id"  # of every shape that stma writes: the id of the object
_NO_AREA = ("box", "polyline", "points", "ellipse", "cuboid", "skeleton", "tag")


def encode_rle(mask: np.ndarray) -> dict[str, Any] | None:
    """Return rle, left, top, width and height of an (H, W) bool mask; None when it is empty."""
    window = bounding_window(mask)
    if window is None:
        return None
    part = mask[window]
    flat = np.concatenate([[False], part.ravel()])  # starts with background, if of no length
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    lengths = np.diff(np.concatenate([[0], changes, [part.size]]))
    return {
        "rle": ", ".join(map(str, lengths.tolist())),
        "left": window[1].start,
        "top": window[0].start,
        "width": part.shape[1],
        "height": part.shape[0],
    }


def decode_rle(shape: Element, width: int, height: int, what: str) -> np.ndarray:
    """Return the (height, width) bool mask of a `mask` element.

    Raises:
        AnnotationError: when the run lengths do not fill the box, or it leaves the frame.
    """
    try:
        lengths = [int(value) for value in shape.get("rle", "").split(",")]
        left, top, columns, rows = (
            int(float(shape.get(name, ""))) for name in ("left", "top", "width", "height")
        )
    except ValueError as error:
        raise AnnotationError(f"{what} has a damaged mask ({error})", "export it again from CVAT") from error
    if min(lengths) < 0 or sum(lengths) != columns * rows or columns < 1 or rows < 1:
        raise AnnotationError(f"{what} has run lengths that do not fill its box", "export it again from CVAT")
    if left < 0 or top < 0 or left + columns > width or top + rows > height:
        raise AnnotationError(
            f"{what} leaves the frame of {width}x{height} pixels", "export it again from CVAT"
        )
    part = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(rows, columns)
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + rows, left : left + columns] = part
    return mask


def shape_mask(shape: Element, width: int, height: int, what: str) -> np.ndarray:
    """Return the (height, width) bool mask of a `mask` or `polygon` element.

    Raises:
        AnnotationError: when it cannot be used.
    """
    if shape.tag == "mask":
        return decode_rle(shape, width, height, what)
    pairs = [pair.split(",") for pair in shape.get("points", "").split(";")]
    points = read_points(pairs, what)
    require_simple(points, what)
    require_inside(points, width, height, what)
    return fill_polygon(points, width, height)


def shapes_with_area(parent: Element, notes: Notes, frame: str | None = None) -> list[Element]:
    """Return the masks and polygons of an image or a track; other shapes are noted and left out."""
    for tag in sorted({child.tag for child in parent} & set(_NO_AREA)):
        notes.add(f"'{tag}' shapes of CVAT have no outline and are left out", frame)
    return [child for child in parent if child.tag in ("mask", "polygon")]


def stated_id(shape: Element) -> int | None:
    """Return the whole number in the shape's attribute `track_id`, if there is one."""
    for attribute in shape.iterfind("attribute"):
        if attribute.get("name") == ID_ATTRIBUTE and (attribute.text or "").strip().isdecimal():
            return int((attribute.text or "").strip()) or None
    return None


def z_order(shape: Element) -> float:
    """Return how near to the camera a shape is."""
    try:
        return float(shape.get("z_order", 0))
    except ValueError:
        return 0.0


def mask_element(object_id: int, attributes: dict[str, Any]) -> str:
    """Return a `mask` element with the object's id as an attribute."""
    fields = " ".join(f"{name}={quoteattr(str(value))}" for name, value in attributes.items())
    return f'<mask {fields}>\n<attribute name="{ID_ATTRIBUTE}">{object_id}</attribute>\n</mask>\n'


def head(mode: str, count: int, names: Iterable[str], size: tuple[int, int] | None = None) -> str:
    """Return the beginning of a file: version, number of frames, mode, labels, and the size for videos."""
    labels = "".join(
        f"<label>\n<name>{escape(name)}</name>\n<type>mask</type>\n<attributes>\n<attribute>\n"
        f"<name>{ID_ATTRIBUTE}</name>\n<mutable>False</mutable>\n<input_type>number</input_type>\n"
        "<default_value>0</default_value>\n<values>0\n65535\n1</values>\n"
        "</attribute>\n</attributes>\n</label>\n"
        for name in dict.fromkeys(names)
    )
    original_size = (
        f"<original_size>\n<width>{size[0]}</width>\n<height>{size[1]}</height>\n</original_size>\n"
        if size
        else ""
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta>\n<task>\n'
        f"<size>{count}</size>\n<mode>{mode}</mode>\n<labels>\n{labels}</labels>\n{original_size}</task>\n</meta>\n"
    )
