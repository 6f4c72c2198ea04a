"""Outlines of annotation files that cross themselves or leave the frame: all of them, not only the first."""

from typing import Any

from stma.errors import AnnotationError, CrossingError, OutsideFrameError
from stma_cli.check.findings import Finding, from_error
from stma_cli.check.json_outlines import json_outlines
from stma_cli.masks.polygons import read_points, require_inside, require_simple

_CODES: dict[type[AnnotationError], str] = {CrossingError: "crossing", OutsideFrameError: "outside"}


def outline_findings(content: Any, file: str, width: int, height: int) -> list[Finding]:
    """Return a finding per polygon that the readers will refuse.

    Args:
        content: the parsed JSON; of a format or shape that is not known, nothing is said here.
        file: the file, for messages.
        width, height: size of the video, for files that do not say their own.
    """
    findings = []
    try:
        for outline in json_outlines(content, width, height) or []:
            named = f"{file}: {outline.what}"
            try:
                points = read_points(outline.raw, named)
                require_simple(points, named)
                require_inside(points, *outline.size, named)
            except AnnotationError as error:
                findings.append(from_error(error, _CODES.get(type(error), "polygon"), file))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return []  # the reader of the format names the field
    return findings
