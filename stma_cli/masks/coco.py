"""COCO JSON: polygons, run-length masks (compressed or not), category names."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from stma.errors import AnnotationError
from stma_cli.frame_files import name_stem, trailing_number
from stma_cli.masks.annotation import Annotation, LabelPainter, ObjectIds, numbered
from stma_cli.masks.fit import Fit, fit_size
from stma_cli.masks.polygons import read_points, require_inside, require_simple
from stma_cli.masks.shapes import finished
from stma_cli.wording import shortened

NAMES_SHOWN = 4  # pictures of a file named in a message


@dataclass(frozen=True)
class WantedPicture:
    """Which picture of a file with several is meant.

    Attributes:
        frame: number of the frame, which the picture's file name ends in.
        stem: file name of the frame without ending, where the video is a folder of pictures; decides then.
        image: file name that the user gave; decides before all others.
    """

    frame: int = 0
    stem: str | None = None
    image: str | None = None


def read_coco(
    content: dict[str, Any],
    source: str,
    width: int,
    height: int,
    wanted: WantedPicture,
    object_ids: ObjectIds,
) -> Annotation:
    """Read the annotations of one picture of a COCO file.

    Each annotation is one object, in the order of the file, named after its category ("dog", "dog 2", ...);
    annotations with the same `track_id` (also inside `attributes`, as CVAT writes it) keep their id in all
    pictures. Where objects overlap, the later wins. `wanted` picks from a file with several pictures.

    Raises:
        AnnotationError: when no picture fits, or an annotation has no usable outline.
        MaskError: when the size does not fit the video.
    """
    picture = _pick_image(content["images"], source, wanted)
    fit = fit_size(
        int(picture.get("width") or width), int(picture.get("height") or height), width, height, source
    )
    categories = category_names(content)
    rows = [row for row in content["annotations"] if row.get("image_id") == picture.get("id")]
    painter = LabelPainter(width, height)
    counts: Counter[str] = Counter()
    for number, row in enumerate(rows, start=1):
        category = categories.get(row.get("category_id"), f"object {number}")
        what = f"{source}: annotation {row.get('id', number)} ('{category}')"
        counts[category] += 1
        name, track = numbered(category, counts[category]), track_of(row)
        object_id = object_ids.id_for(name if track is None else ("track", track), name)
        painter.paint(object_id, segmentation_mask(row.get("segmentation"), fit, what))
    marked = {row.get("image_id") for row in content["annotations"]} - {picture.get("id")}
    others = tuple(_name(row) for row in content["images"] if row.get("id") in marked)
    return replace(finished(painter, object_ids, fit, source), picture=_name(picture), others=others)


def category_names(content: dict[str, Any]) -> dict[Any, str]:
    """Return the names of the categories by their ids."""
    return {row.get("id"): str(row.get("name")) for row in content.get("categories") or []}


def track_of(row: dict[str, Any]) -> Any:
    """Return the `track_id` of an annotation, which CVAT writes among its attributes; None where it has none."""
    return row.get("track_id", (row.get("attributes") or {}).get("track_id"))


def _name(picture: dict[str, Any]) -> str:
    return str(picture.get("file_name", ""))


def _pick_image(images: list[dict[str, Any]], source: str, wanted: WantedPicture) -> dict[str, Any]:
    names = [_name(row) for row in images]
    if wanted.image is not None:
        fits = [wanted.image in (name, PurePath(name).name) for name in names]
        problem = f"has no picture named {wanted.image}"
    elif len(images) == 1:
        return images[0]
    elif wanted.stem is not None:
        fits = [PurePath(name).stem == wanted.stem for name in names]
        problem = f"has {len(images)} pictures, and not exactly one named {wanted.stem} like the frame"
    else:
        fits = [trailing_number(name_stem(name)) == wanted.frame for name in names]
        problem = (
            f"has {len(images)} pictures, and not exactly one whose name ends in the number {wanted.frame}"
        )
    if sum(fits) == 1:
        return images[fits.index(True)]
    shown = shortened(names, NAMES_SHOWN)
    example = names[0] if names else "picture.jpg"
    raise AnnotationError(f"{source} {problem} ({shown})", f"name one, as in --mask '{source}#{example}'")


def segmentation_mask(segmentation: Any, fit: Fit, what: str) -> np.ndarray:
    """Return (H, W) bool at the size of the video, from polygons or run lengths.

    Raises:
        AnnotationError: when there is no usable outline.
    """
    if isinstance(segmentation, list) and segmentation:
        return _polygons_mask(segmentation, fit, what)
    if isinstance(segmentation, dict):
        return fit.labels(decode_run_lengths(segmentation, fit, what), what).astype(bool)
    raise AnnotationError(f"{what} has no outline, only a box or keypoints", "draw a polygon or a mask")


def _polygons_mask(polygons: list[Any], fit: Fit, what: str) -> np.ndarray:
    if isinstance(polygons[0], int | float):
        polygons = [polygons]  # some tools leave out the outer list
    flat = []
    for polygon in polygons:
        points = read_points(polygon, f"{what}, polygon")
        require_simple(points, f"{what}, polygon")
        require_inside(points, fit.source_width, fit.source_height, f"{what}, polygon")
        flat.append(fit.points(points).ravel().tolist())
    runs = coco_mask.merge(coco_mask.frPyObjects(flat, fit.height, fit.width))
    return _plane(_uncompressed(runs["counts"]) or [], fit.width, fit.height).astype(bool)


def decode_run_lengths(segmentation: dict[str, Any], fit: Fit, what: str) -> np.ndarray:
    """Return (H, W) uint8 0 or 1 at the size of the annotated picture.

    Raises:
        AnnotationError: when they are not COCO's run lengths, or of another size.
    """
    counts, size = segmentation.get("counts"), segmentation.get("size")
    other = f"{what} holds run lengths that are not COCO's"
    if size != [fit.source_height, fit.source_width]:
        raise AnnotationError(
            f"{what} has run lengths for the size {size}, but its picture is {fit.source_width}x"
            f"{fit.source_height}",
            "export it again, with size [height, width]",
        )
    if isinstance(counts, str | bytes):
        lengths = _uncompressed(counts.encode() if isinstance(counts, str) else counts)
    else:
        lengths = counts if isinstance(counts, list) else None
    if (
        lengths is None
        or not all(isinstance(length, int) and length >= 0 for length in lengths)
        or sum(lengths) != fit.source_height * fit.source_width
    ):
        raise AnnotationError(
            f"{other} (they do not add up to {fit.source_width}x{fit.source_height} pixels, as those of "
            "Label Studio, Supervisely or Kaggle do not)",
            "export COCO JSON, polygons or PNG masks",
        )
    return _plane(lengths, fit.source_width, fit.source_height)


def _plane(lengths: list[int], width: int, height: int) -> np.ndarray:
    """Return (H, W) uint8 0 or 1 from run lengths that go column by column, background first."""
    values = np.arange(len(lengths)) % 2
    return np.repeat(values.astype(np.uint8), lengths).reshape(width, height).T.copy()


def _uncompressed(text: bytes) -> list[int] | None:
    """Return the run lengths of COCO's compressed string, or None when it is none.

    Five bits per character from "0" on, the sixth says that more follow, the last one carries the sign; from
    the fourth length on the difference to the one two before is stored. Decoded here, and not in the C code
    of pycocotools, so that strings of other tools are recognised and refused.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        code = character - 48
        if not 0 <= code < 64 or shift > 60:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    return lengths if shift == 0 else None
