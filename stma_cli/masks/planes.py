"""One mask per object, as models of segmentation write them, becomes one label map."""

from collections.abc import Callable, Sequence

import numpy as np

from stma_cli.masks.annotation import Annotation, LabelPainter, ObjectIds
from stma_cli.masks.fit import Fit
from stma_cli.note import Note


def painted_planes(
    areas: Sequence[int], plane: Callable[[int], np.ndarray], fit: Fit, source: str, object_ids: ObjectIds
) -> Annotation:
    """Paint planes into one label map, in which the plane at position 0 is object 1; the smaller ones lie on top.

    Args:
        areas: pixels of each plane; one without any marks no object.
        plane: gives the plane at a position, (H, W) bool at the size of the file.
        fit: from that size to the video.
        source: the file, for messages.
        object_ids: the ids given so far; those of the objects are added.

    Raises:
        MaskError: when an object does not survive scaling, or has too large an id.
    """
    painter = LabelPainter(fit.source_width, fit.source_height)
    for position in sorted(range(len(areas)), key=lambda index: areas[index], reverse=True):
        if areas[position]:
            painter.paint(object_ids.reserve(position + 1), plane(position))
    notes = list(fit.notes)
    if painter.covered_pixels:
        said = f"objects overlap on {painter.covered_pixels} pixels, where the smaller one wins"
        notes.append(Note("mask", said))
    hidden = painter.hidden()
    if hidden:
        said = f"nothing is left of {', '.join(map(object_ids.name_of, hidden))}, covered by smaller ones"
        notes.append(Note("mask", said))
    labels = fit.labels(painter.labels, source)
    return Annotation(labels, object_ids.names_in(labels), tuple(notes))
