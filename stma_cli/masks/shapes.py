"""The common end of all JSON readers: outlines of objects become one label map."""

from collections.abc import Sequence

import numpy as np

from stma.errors import AnnotationError
from stma_cli.masks.annotation import Annotation, LabelPainter, ObjectIds
from stma_cli.masks.fit import Fit
from stma_cli.masks.polygons import fill_polygon, require_inside, require_simple
from stma_cli.note import Note


def outline_mask(points: np.ndarray, fit: Fit, what: str, may_leave_frame: bool = False) -> np.ndarray:
    """Check one outline and rasterise it at the size of the video.

    Args:
        points: (N, 2) float (x, y) in pixels of the annotated picture.
        fit: from the annotated picture to the video.
        what: the outline, for messages.
        may_leave_frame: cut off what is outside, as for circles, in place of refusing it.

    Returns:
        (H, W) bool.

    Raises:
        AnnotationError: when the outline crosses itself or leaves the frame.
    """
    require_simple(points, what)
    if not may_leave_frame:
        require_inside(points, fit.source_width, fit.source_height, what)
    return fill_polygon(fit.points(points), fit.width, fit.height)


def finished(
    painter: LabelPainter, object_ids: ObjectIds, fit: Fit, source: str, notes: Sequence[Note] = ()
) -> Annotation:
    """Turn what was painted into an annotation.

    Raises:
        AnnotationError: when nothing is left of an object.
    """
    hidden = painter.hidden()
    if hidden:
        raise AnnotationError(
            f"{source}: nothing is to be seen of {', '.join(map(object_ids.name_of, hidden))}, because its "
            "shape covers no pixel or later shapes cover it",
            "change the order of the shapes or remove it",
        )
    all_notes = (*fit.notes, *notes, *painter.overlap_notes(object_ids))
    return Annotation(painter.labels, object_ids.names_in(painter.labels), all_notes)
