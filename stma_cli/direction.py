"""Which way objects are followed, for --help without torch."""

from enum import StrEnum


class Direction(StrEnum):
    """Which way objects are followed from the annotated frames."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"
