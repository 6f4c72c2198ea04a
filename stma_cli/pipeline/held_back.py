"""Predictions that steps after the model still hold back, as part of a checkpoint.

Smoothing gives out a frame only when later ones have come, and needs some before it. So that a run goes on
exactly, the newest predictions of the model are kept as they came; the next run shows them to the steps
again and drops the results that were written before.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Self

import numpy as np

from stma_cli.pipeline.postprocessing import FinalPrediction, final_prediction
from stma_cli.pipeline.protocols import PredictionLike
from stma_cli.pipeline.run import Refine
from stma_cli.video import Frame

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class HeldState:
    """Where the steps after the model stand.

    Attributes:
        next_mask: number of the first frame that has not left the steps.
        recent: the newest predictions of the model, without pixels of the frames.
    """

    next_mask: int
    recent: tuple[tuple[Frame, PredictionLike], ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return plain values and tensors."""
        return {"next_mask": self.next_mask, "recent": [plain_prediction(*pair) for pair in self.recent]}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what `plain` gave."""
        return cls(plain["next_mask"], tuple(restored_prediction(row) for row in plain["recent"]))


class HeldBack:
    """Stands around the steps after the model, and keeps what they need to go on."""

    def __init__(self, refine: Refine | None, lookback: int, begin: HeldState) -> None:
        """Prepare the steps of a run.

        Args:
            refine: the steps, or None for no step.
            lookback: predictions before the next frame that the steps depend on.
            begin: where they begin.
        """
        self._refine: Refine = refine or iter
        self._next_mask = begin.next_mask
        self._earlier = begin.recent
        self._recent: deque[tuple[Frame, PredictionLike]] = deque(maxlen=lookback)

    def __call__(
        self, predictions: Iterator[tuple[Frame, PredictionLike]]
    ) -> Iterator[tuple[Frame, PredictionLike]]:
        """Yield the results of all frames that had none before, in order."""
        for frame, prediction in self._refine(self._noted(predictions)):
            if frame.index >= self._next_mask:
                yield frame, prediction
                self._next_mask = frame.index + 1

    def state(self) -> HeldState:
        """Return where the steps stand; to be called when the model is about to take the next frames."""
        return HeldState(self._next_mask, tuple(self._recent))

    def _noted(
        self, predictions: Iterable[tuple[Frame, PredictionLike]]
    ) -> Iterator[tuple[Frame, PredictionLike]]:
        for source in (self._earlier, predictions):
            for frame, prediction in source:
                if self._recent.maxlen:
                    bare = final_prediction(prediction, prediction.labels.copy())  # without soft masks
                    self._recent.append((replace(frame, pixels=_NO_PIXELS), bare))
                yield frame, prediction


def plain_prediction(frame: Frame, prediction: PredictionLike) -> dict[str, Any]:
    """Return plain values and tensors, without the pixels of the frame."""
    import torch

    labels = prediction.labels
    packed = np.frombuffer(zlib.compress(labels.tobytes(), 1), np.uint8).copy()
    return {
        "index": frame.index,
        "time": str(frame.time),
        "name": frame.name,
        "labels": torch.from_numpy(packed),
        "shape": list(labels.shape),
        "type": labels.dtype.name,
        "object_ids": list(prediction.object_ids),
        "confidence": dict(prediction.confidence),
        "area": dict(prediction.area),
    }


def restored_prediction(row: dict[str, Any]) -> tuple[Frame, PredictionLike]:
    """Return what `plain_prediction` gave."""
    labels = np.frombuffer(zlib.decompress(row["labels"].numpy().tobytes()), row["type"])
    frame = Frame(row["index"], _NO_PIXELS, Fraction(row["time"]), row["name"])
    return frame, FinalPrediction(
        labels.reshape(row["shape"]), tuple(row["object_ids"]), row["confidence"], row["area"]
    )
