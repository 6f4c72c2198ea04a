"""What `stma segment --soft` writes: a folder per object, named by its id, with an 8-bit grey PNG per frame, 255 for
certainty.

They come straight from the model, before any step that holds frames back, so that those of all frames before a
checkpoint are complete when it is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from stma.errors import OutputError, SettingsError
from stma.saving import replacing
from stma_cli.direction import Direction
from stma_cli.output import prepare_folder
from stma_cli.pipeline.protocols import PredictionLike
from stma_cli.pipeline.run import Refine
from stma_cli.rendering.pictures import COMPRESSION
from stma_cli.segment.corrections import Change
from stma_cli.segment.settings import SegmentSettings
from stma_cli.video import Frame


class SoftMasks:
    """Writes the probabilities of a run; without --soft it does nothing."""

    def __init__(self, settings: SegmentSettings, names: Mapping[int, str], stems: Sequence[str]) -> None:
        """Prepare the files of all objects, by their names by id; touches none yet.

        Raises:
            SettingsError: the direction gives no probabilities, or the folder is that of the masks.
        """
        self._folder, self._start = settings.soft, settings.start
        self._takes_files = settings.force or settings.resume
        self._ids, self._stems = sorted(names), stems
        if self._folder is None:
            return
        if settings.direction is not Direction.FORWARD:
            raise SettingsError("--soft is for --direction forward alone", "leave out one of the two")
        if self._folder.resolve() == settings.out.resolve():
            raise SettingsError(f"--soft {self._folder} is the folder of the masks", "choose another")

    def prepare(self, again: bool) -> None:
        """Make the folder; where the run is done `again`, it may hold files of it.

        Raises:
            OutputError: it has other files in it, or is not writable.
        """
        if self._folder is not None:
            ours = again and any(self._path(i, self._start).exists() for i in self._ids)
            prepare_folder(self._folder, self._takes_files or ours, "--soft")

    def first_gap(self, frames: range) -> Change | None:
        """Return the first of these frames that lacks a file, or None."""
        for frame in frames if self._folder is not None else ():
            for path in (self._path(object_id, frame) for object_id in self._ids):
                if not path.is_file():
                    return Change(frame, f"{path} is missing")
        return None

    def require(self, frames: range) -> None:
        """Refuse to go on behind frames that lack a file.

        Raises:
            OutputError: naming it.
        """
        gap = self.first_gap(frames)
        if gap is not None:
            raise OutputError(f"{gap.what} of the frames that are done", "add --force in place of --resume")

    def before(self, steps: Refine) -> Refine:
        """Return the steps after the model with the writing before them."""
        return steps if self._folder is None else lambda predictions: steps(self._written(predictions))

    def _written(
        self, predictions: Iterator[tuple[Frame, PredictionLike]]
    ) -> Iterator[tuple[Frame, PredictionLike]]:
        for frame, prediction in predictions:
            for object_id in self._ids:
                path = self._path(object_id, frame.index)
                with replacing(path) as temporary:
                    path.parent.mkdir(exist_ok=True)
                    picture = Image.fromarray(_picture(prediction, object_id))
                    picture.save(temporary, format="PNG", compress_level=COMPRESSION)
            yield frame, prediction

    def _path(self, object_id: int, frame: int) -> Path:
        assert self._folder is not None
        name = self._stems[frame] if self._stems else f"{frame:05d}"
        return self._folder / str(object_id) / f"{name}.png"


def _picture(prediction: PredictionLike, object_id: int) -> np.ndarray:
    """Return (H, W) uint8; an object is nowhere before its first mask."""
    from stma.prediction import Prediction

    assert isinstance(prediction, Prediction)  # as the model itself gives in the forward direction
    if object_id not in prediction.object_ids:
        return np.zeros(prediction.labels.shape, np.uint8)
    return np.asarray(np.rint(255 * prediction.probability(object_id)), np.uint8)
