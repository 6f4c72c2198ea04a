"""Masks of one picture as Segment Anything writes them: JSON with run lengths, or a folder with a PNG per object."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stma.errors import MaskError
from stma_cli.frame_files import files_in
from stma_cli.masks.annotation import Annotation, ObjectIds
from stma_cli.masks.coco import decode_run_lengths
from stma_cli.masks.fit import fit_size
from stma_cli.masks.image_file import read_picture
from stma_cli.masks.planes import painted_planes
from stma_cli.note import Note

_TABLE, _HEAD = "metadata.csv", "id,area,bbox_x0"  # what its script `amg.py` writes beside the PNGs


def sam_rows(content: Any) -> list[dict[str, Any]] | None:
    """Return the masks in JSON of the automatic mask generator or of SA-1B; None where it is neither."""
    of_file = isinstance(content, dict) and "image" in content
    rows = content.get("annotations") if of_file else content
    if not isinstance(rows, list) or not rows:
        return None
    return rows if all(isinstance(row, dict) and _is_mask(row) for row in rows) else None


def _is_mask(row: dict[str, Any]) -> bool:
    segmentation = row.get("segmentation")
    return (
        isinstance(segmentation, dict) and {"size", "counts"} <= segmentation.keys() and "image_id" not in row
    )


def read_sam(
    rows: list[dict[str, Any]], source: str, width: int, height: int, object_ids: ObjectIds
) -> Annotation:
    """Read the masks of one picture: objects 1, 2, ... in the order of the file; the smaller ones lie on top.

    Raises:
        AnnotationError: when run lengths are not COCO's, or not all of one size.
        MaskError: when the size does not fit the video.
    """
    source_height, source_width = map(int, rows[0]["segmentation"]["size"])
    fit = fit_size(source_width, source_height, width, height, source)

    def plane(index: int) -> np.ndarray:
        return decode_run_lengths(rows[index]["segmentation"], fit, f"{source}: mask {index + 1}").astype(
            bool
        )

    return painted_planes(_areas(plane, len(rows)), plane, fit, source, object_ids)


def is_sam_folder(path: Path) -> bool:
    """Return whether a folder holds the masks of one picture, a PNG per object, as `amg.py` leaves it."""
    try:
        with (path / _TABLE).open(encoding="utf-8", errors="replace") as stream:
            return stream.readline(len(_HEAD)) == _HEAD
    except OSError:
        return False


def read_sam_folder(path: Path, width: int, height: int, object_ids: ObjectIds) -> Annotation:
    """Read a folder of `is_sam_folder`: objects 1, 2, ... in natural order; the smaller ones lie on top.

    Raises:
        MaskError: when a PNG cannot be read, there is none, or they do not fit the video or each other.
    """
    files = files_in(path, ".png")
    if not files:
        raise MaskError(f"{path} has {_TABLE} but no PNGs", "give the folder that holds the masks")
    rows, columns = read_picture(files[0]).pixels.shape[:2]
    fit = fit_size(columns, rows, width, height, str(files[0]))

    def plane(index: int) -> np.ndarray:
        picture = read_picture(files[index])
        if picture.kind == "colour" or picture.pixels.shape != (rows, columns):
            raise MaskError(
                f"{files[index]} is not a grey picture of {columns}x{rows} pixels as {files[0].name}",
                "give a folder with the masks of one picture",
            )
        return picture.pixels > 0

    read = painted_planes(_areas(plane, len(files)), plane, fit, str(path), object_ids)
    said = f"taken for the masks of one picture, {files[0].name} is object 1"
    return replace(read, notes=(Note("mask", said), *read.notes))


def _areas(plane: Callable[[int], np.ndarray], count: int) -> list[int]:
    return [int(np.count_nonzero(plane(index))) for index in range(count)]
