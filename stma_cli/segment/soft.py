"""What `stma segment --soft` writes: a folder per object, named by its id, with an 8-bit grey PNG per frame, 255 for
certainty.

They come straight from the model, before any step that holds frames back, so that those of all frames before a
checkpoint are complete when it is written. Report and checkpoint say in which folder they are, and soft.json in that
folder whose they are: only where both agree they count as those of the run.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from stma.errors import OutputError, SettingsError
from stma.saving import replacing
from stma_cli.direction import Direction
from stma_cli.frame_files import files_in
from stma_cli.output import OutputFolder, full_path, prepare_folder
from stma_cli.pipeline.protocols import PredictionLike
from stma_cli.pipeline.run import Refine
from stma_cli.rendering.pictures import COMPRESSION
from stma_cli.segment.corrections import Change
from stma_cli.segment.settings import SegmentSettings
from stma_cli.soft_file import mark_soft_masks, soft_masks_of
from stma_cli.video import Frame


class SoftMasks:
    """Writes the probabilities of a run; without --soft it does nothing."""

    def __init__(self, settings: SegmentSettings, names: Mapping[int, str], stems: Sequence[str]) -> None:
        """Prepare the files of all objects, by their names by id; touches none yet.

        Raises:
            SettingsError: the direction gives no probabilities, or they would lie among the masks, the frames or the
                pictures of the overlay.
        """
        self._folder, self._start, self._out = settings.soft, settings.start, settings.out
        self._force = settings.force
        self._made: OutputFolder | None = None
        self._ids, self._stems = sorted(names), stems
        if self._folder is None:
            return
        if settings.direction is not Direction.FORWARD:
            raise SettingsError("--soft is for --direction forward alone", "leave out one of the two")
        written = {full_path(folder) for folder in (self._folder, *map(self._folder_of, self._ids))}
        taken = {
            "folder of the masks": settings.out,
            "folder of the frames": settings.video if settings.video.is_dir() else None,
            "overlay": settings.overlay,
        }
        for what, place in taken.items():
            if full_path(place) in written:
                raise SettingsError(
                    f"--soft {self._folder} would write into the {what}",
                    "choose another folder",
                )
        if self._folder.resolve() in settings.out.resolve().parents:
            raise SettingsError(f"--soft {self._folder} holds the folder of the masks", "choose another")

    def prepare(self, again: bool, goes_on: bool) -> None:
        """Make the folder; where the run is done `again` it may hold files of it, where it goes on `require` says.

        Raises:
            OutputError: it has other files in it, or is not writable.
        """
        if self._folder is not None:
            ours = goes_on or (again and self._is_ours(self._folder))
            self._made = prepare_folder(self._folder, self._force or ours, "--soft")

    def require(self, frames: range, recorded: str | None) -> None:
        """Refuse to go on behind frames that lack a file of this very run; arguments as of `first_gap`.

        Raises:
            OutputError: naming what is missing.
        """
        gap = self.first_gap(frames, recorded)
        if gap is not None:
            raise OutputError(gap.what, "add --force in place of --resume")

    def remove_if_unused(self) -> None:
        """Remove the folder again where `prepare` has made it and nothing was written."""
        if self._made is not None:
            self._made.remove_if_unused()

    def first_gap(self, frames: range, recorded: str | None) -> Change | None:
        """Return the first of these frames that lacks a file of this very run, or None.

        Args:
            frames: those that are done.
            recorded: the full path of the folder where the run says that it has its files, or None.
        """
        if self._folder is None:
            return None
        gap = next(filter(None, map(self._missing, frames)), None)
        is_first = gap is not None and gap.frame == frames.start
        if is_first or (recorded == full_path(self._folder) and self._is_ours(self._folder)):
            return gap
        return Change(frames.start, f"--soft {self._folder} does not hold those of this run")

    def others(self, frames: int) -> int:
        """Return how many pictures of an earlier run lie beside those of this one, which has so many frames."""
        if self._folder is None:
            return 0
        folders = (entry for entry in self._folder.iterdir() if entry.name.isdecimal() and entry.is_dir())
        return sum(len(files_in(folder, ".png")) for folder in folders) - frames * len(self._ids)

    def before(self, steps: Refine) -> Refine:
        """Return the steps after the model with the writing before them."""
        return steps if self._folder is None else lambda predictions: steps(self._written(predictions))

    def _written(
        self, predictions: Iterator[tuple[Frame, PredictionLike]]
    ) -> Iterator[tuple[Frame, PredictionLike]]:
        for place, (frame, prediction) in enumerate(predictions):
            if place == 0:
                assert self._folder is not None
                mark_soft_masks(self._folder, self._out)
            for object_id in self._ids:
                path = self._path(object_id, frame.index)
                with replacing(path) as temporary:
                    path.parent.mkdir(exist_ok=True)
                    picture = Image.fromarray(_picture(prediction, object_id))
                    picture.save(temporary, format="PNG", compress_level=COMPRESSION)
            yield frame, prediction

    def _is_ours(self, folder: Path) -> bool:
        return soft_masks_of(folder) == full_path(self._out)

    def _missing(self, frame: int) -> Change | None:
        paths = (self._path(object_id, frame) for object_id in self._ids)
        gone = next((path for path in paths if not path.is_file()), None)
        return None if gone is None else Change(frame, f"{gone} is missing")

    def _path(self, object_id: int, frame: int) -> Path:
        name = self._stems[frame] if self._stems else f"{frame:05d}"
        return self._folder_of(object_id) / f"{name}.png"

    def _folder_of(self, object_id: int) -> Path:
        assert self._folder is not None
        return self._folder / str(object_id)


def _picture(prediction: PredictionLike, object_id: int) -> np.ndarray:
    """Return (H, W) uint8; an object is nowhere before its first mask."""
    from stma.prediction import Prediction

    assert isinstance(prediction, Prediction)  # as the model itself gives in the forward direction
    if object_id not in prediction.object_ids:
        return np.zeros(prediction.labels.shape, np.uint8)
    return np.asarray(np.rint(255 * prediction.probability(object_id)), np.uint8)
