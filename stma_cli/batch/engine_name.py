"""The names of the engines, for --help without the engines."""

from enum import StrEnum


class EngineName(StrEnum):
    """Where the workers of a batch run."""

    LOCAL = "local"
    RAY = "ray"
