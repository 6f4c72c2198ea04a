"""YOLO segmentation labels: which files they are, and what a row of them says."""

from pathlib import Path

import numpy as np

from stma.errors import AnnotationError
from stma_cli.frame_files import files_in
from stma_cli.masks.polygons import read_points

CLASSES_FILE = "classes.txt"
CLIP_FILE = "stma.json"


def label_files(path: Path) -> list[Path]:
    """Return the text files of a folder in natural order, without the list of classes."""
    return [file for file in files_in(path, ".txt") if file.name != CLASSES_FILE]


def is_label_row(line: str) -> bool:
    """Return whether a line of text is a row of YOLO segmentation labels."""
    try:
        read_row(line, "line")
    except AnnotationError:
        return False
    return True


def read_row(line: str, what: str) -> tuple[int, np.ndarray]:
    """Return the class and the (N, 2) float normalised points of one row.

    Raises:
        AnnotationError: when it is no row of labels, or a box.
    """
    fields = line.split()
    if len(fields) == 5:
        raise AnnotationError(f"{what} is a box, which has no outline", "export segmentation labels")
    try:
        index, values = int(fields[0]), [float(field) for field in fields[1:]]
    except ValueError as error:
        raise AnnotationError(
            f"{what} is no row of YOLO labels ({error})", "give 'class x1 y1 x2 y2 ...'"
        ) from error
    points = read_points(values, what)
    if index < 0 or points.min() < -0.01 or points.max() > 1.01:
        raise AnnotationError(
            f"{what} has values outside 0 to 1", "divide x by the width and y by the height"
        )
    return index, points
