"""Post-processing as a step of the pipeline: predictions in, the same number of predictions out."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stma.labels import areas
from stma_cli.pipeline.protocols import PredictionLike

if TYPE_CHECKING:
    from stma.postprocess import PostprocessConfig
    from stma_cli.video import Frame


@dataclass(frozen=True)
class FinalPrediction:
    """A prediction whose labels were changed after the model.

    Attributes:
        labels: (H, W) object ids as they are written, 0 = background.
        object_ids: all objects so far.
        confidence: 0 to 1 per object, of the model's own labels.
        area: pixels per object in `labels`.
    """

    labels: np.ndarray
    object_ids: tuple[int, ...]
    confidence: dict[int, float]
    area: dict[int, int]


class Postprocessing:
    """Applies the steps that are on to a stream of predictions.

    Attributes:
        lookback: so many predictions before the next one still have influence on results to come.
    """

    def __init__(
        self, config: "PostprocessConfig", annotated: Container[int], ends: Mapping[int, int] | None = None
    ) -> None:
        """Prepare the steps.

        Args:
            config: which are on.
            annotated: the frames that someone has annotated, which smoothing leaves alone.
            ends: the first frame without each of the objects that end, by id.
        """
        self.lookback = 2 * config.smooth
        self._config = config
        self._annotated = annotated
        self._ends = ends or {}

    def __call__(
        self, predictions: "Iterator[tuple[Frame, PredictionLike]]"
    ) -> "Iterator[tuple[Frame, PredictionLike]]":
        """Yield as many predictions as come in, in the same order."""
        from stma.postprocess import postprocessed

        pairs = (((frame, prediction), prediction.labels) for frame, prediction in predictions)
        for (frame, prediction), labels in postprocessed(
            pairs, self._config, lambda pair: pair[0].index in self._annotated
        ):
            gone = [object_id for object_id, end in self._ends.items() if frame.index >= end]
            if gone and labels is not prediction.labels:  # frames before may have outvoted this one
                labels = np.where(np.isin(labels, gone), prediction.labels, labels)
            yield frame, final_prediction(prediction, labels)


def final_prediction(prediction: PredictionLike, labels: np.ndarray) -> PredictionLike:
    """Return the prediction with other labels and the areas that they give."""
    if labels is prediction.labels:
        return prediction
    return FinalPrediction(
        labels,
        prediction.object_ids,
        prediction.confidence,
        areas(labels, prediction.object_ids),
    )
