"""Checks that the JSON formats of whole clips share."""

from typing import Any

from stma.errors import AnnotationError
from stma_cli.convert.clip import Notes


def require_lists(content: Any, source: str, *fields: str) -> list[list[dict[str, Any]]]:
    """Return the lists of objects called `fields`; the first may not be empty.

    Raises:
        AnnotationError: when one is missing or of another kind.
    """
    found = [content.get(field) if isinstance(content, dict) else None for field in fields]
    for name, rows in zip(fields, found, strict=True):
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise AnnotationError(f'{source} has no list of objects "{name}"', "export it again")
    if not found[0]:
        raise AnnotationError(f'{source} has an empty list "{fields[0]}"', "export it with its frames")
    return [list(rows) for rows in found if isinstance(rows, list)]


def require_known(
    annotations: list[dict[str, Any]], owners: list[dict[str, Any]], field: str, source: str
) -> None:
    """Refuse an annotation whose `field` ("image_id", "video_id") is the `id` of none of the `owners`.

    Raises:
        AnnotationError: when there is one.
    """
    known = {row.get("id") for row in owners}
    for row in annotations:
        if row.get(field) not in known:
            owner = field.removesuffix("_id")
            raise AnnotationError(
                f'{source}: annotation {row.get("id")} has the "{field}" {row.get(field)!r}, which no {owner} '
                'has as its "id"',
                f"write both alike, add the {owner}, or remove the annotation",
            )


def size_of(row: dict[str, Any], what: str) -> tuple[int, int]:
    """Return the width and height that a row states.

    Raises:
        AnnotationError: when it does not.
    """
    width, height = row.get("width"), row.get("height")
    if not isinstance(width, int) or not isinstance(height, int) or width < 1 or height < 1:
        raise AnnotationError(f"{what} has no size", 'add "width" and "height" in pixels')
    return width, height


def is_drawn(segmentation: Any, notes: Notes, frame: str) -> bool:
    """Return whether there is an outline; those with a box or keypoints only are noted and left out."""
    if segmentation:
        return True
    notes.add("annotations without an outline (boxes, keypoints) are left out", frame)
    return False
