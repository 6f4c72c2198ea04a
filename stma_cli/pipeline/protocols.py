"""What the pipeline needs of a model and of its results."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class PredictionLike(Protocol):
    """What the pipeline reads of `stma.Prediction`."""

    @property
    def labels(self) -> np.ndarray:
        """(H, W) object ids, 0 = background."""

    @property
    def object_ids(self) -> tuple[int, ...]:
        """All objects so far."""

    @property
    def confidence(self) -> dict[int, float]:
        """0 to 1 per object."""

    @property
    def area(self) -> dict[int, int]:
        """Pixels per object."""


class SegmenterLike(Protocol):
    """What the pipeline calls of `stma.Segmenter`."""

    def steps(
        self, frames: Sequence[np.ndarray], masks: Mapping[int, np.ndarray] | None = None
    ) -> Sequence[PredictionLike]:
        """Segment consecutive frames; `masks` are keyed by position in `frames`."""

    def remove(self, object_ids: Sequence[int]) -> None:
        """Follow these objects no longer, from the next frame on."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on exactly here."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
