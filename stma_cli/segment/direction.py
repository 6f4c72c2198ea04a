"""Following objects backward in time, and one result of both directions.

The backward pass goes over the frames from the last annotated one to the first and leaves its predictions on disk, a
small file per frame. The forward pass follows in the usual order, reads them, and merges: each object on each frame
comes from the pass whose annotation of this object is nearer in time.
"""

import shutil
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stma.errors import OutputError
from stma.labels import LEAVE, areas, id_dtype
from stma.saving import write_saved, writing
from stma_cli.pipeline.held_back import plain_prediction, restored_prediction
from stma_cli.pipeline.postprocessing import FinalPrediction
from stma_cli.pipeline.protocols import PredictionLike, SegmenterLike
from stma_cli.result_layout import BACKWARD_FOLDER
from stma_cli.segment.checkpoint import reading_saved
from stma_cli.segment.report import START_AGAIN

if TYPE_CHECKING:
    from stma_cli.masks import Annotation
    from stma_cli.video import Frame


class SavedPredictions:
    """The predictions of the backward pass on disk, one file per frame, any of which can be read at any time."""

    def __init__(self, out: Path) -> None:
        """Prepare the files beside the masks in `out`; touches none yet."""
        self._folder = out / BACKWARD_FOLDER

    def write(self, frame: "Frame", prediction: PredictionLike) -> None:
        """Save the prediction of one frame.

        Raises:
            OutputError: when it cannot be written.
        """
        path = self._path(frame.index)
        with writing(path):
            self._folder.mkdir(exist_ok=True)
        write_saved(path, plain_prediction(frame, prediction))

    def read(self, index: int) -> PredictionLike:
        """Return the prediction of one frame.

        Raises:
            SettingsError: it is gone or damaged.
        """
        import torch

        path = self._path(index)
        with reading_saved(path):
            return restored_prediction(torch.load(path, weights_only=True))[1]

    def require(self, frames: range) -> None:
        """Check that the predictions of all these frames are there.

        Raises:
            OutputError: when one is gone.
        """
        if not all(self._path(index).is_file() for index in frames):
            raise OutputError(f"a part of the backward pass is gone from {self._folder.parent}", START_AGAIN)

    def remove(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:08d}"


@dataclass(frozen=True)
class MergeRule:
    """Which pass an object comes from.

    Attributes:
        annotated: by object id, the frames from whose masks a pass follows it, ascending.
        forward: whether there is a forward pass.
    """

    annotated: dict[int, tuple[int, ...]]
    forward: bool = True

    @classmethod
    def of(cls, annotations: "Mapping[int, Annotation]", forward: bool) -> "MergeRule":
        """Return the rule for the masks of a run, by frame number."""
        annotated: dict[int, tuple[int, ...]] = {}
        for frame in sorted(annotations):
            for object_id in annotations[frame].object_ids:
                annotated[object_id] = (*annotated.get(object_id, ()), frame)
        if forward:
            whole = {frame for frame, mask in annotations.items() if LEAVE not in mask.labels}
            annotated = {object_id: _until_whole(frames, whole) for object_id, frames in annotated.items()}
        return cls(annotated, forward)

    def backward_mask(self, frame: int, labels: np.ndarray) -> np.ndarray:
        """Return what the (H, W) mask of a frame says in the backward pass, where objects may begin further back."""
        later = [object_id for object_id, frames in self.annotated.items() if frame > frames[-1]]
        left = np.isin(labels, later)
        return np.where(left, LEAVE, labels).astype(np.int32) if left.any() else labels

    def choice(self, object_id: int, frame: int) -> tuple[bool, int] | None:
        """Return whether the object comes from the forward pass, and the distance in frames to its annotation.

        The nearer annotation decides, and the earlier one where both are equally near. None says that no pass
        shows it.
        """
        frames = self.annotated.get(object_id, ())
        place = bisect_right(frames, frame)
        before = frame - frames[place - 1] if place else None
        after = frames[place] - frame if place < len(frames) else None
        if before == 0:
            return self.forward, 0
        if not self.forward or before is None:
            return None if after is None else (False, after)
        if after is None or before <= after:
            return True, before
        return False, after

    def merge(
        self,
        frame: int,
        forward: PredictionLike | None,
        backward: PredictionLike | None,
        shape: tuple[int, int],
    ) -> PredictionLike:
        """Return one prediction of two.

        Each object is taken whole from one pass. Where two objects from different passes overlap, the one
        whose annotation is nearer is in front, and the smaller id where both are equally near.

        Args:
            frame: its number.
            forward: of the forward pass, or None where there is none.
            backward: of the backward pass, or None behind the last annotated frame.
            shape: (H, W) of the frame.
        """
        chosen: list[tuple[int, int, PredictionLike]] = []
        for object_id in self.annotated:
            choice = self.choice(object_id, frame)
            source = None if choice is None else forward if choice[0] else backward
            if choice is not None and source is not None and object_id in source.object_ids:
                chosen.append((choice[1], object_id, source))
        ids = tuple(sorted(object_id for _, object_id, _ in chosen))
        labels = np.zeros(shape, id_dtype(max(self.annotated, default=0)))
        for _, object_id, source in sorted(chosen, key=lambda entry: entry[:2], reverse=True):
            labels[source.labels == object_id] = object_id
        confidence = {object_id: source.confidence.get(object_id, 0.0) for _, object_id, source in chosen}
        return FinalPrediction(labels, ids, {key: confidence[key] for key in ids}, areas(labels, ids))


def _until_whole(frames: tuple[int, ...], whole: Collection[int]) -> tuple[int, ...]:
    """Leave out the frames of an object after its last whole mask, where the backward pass has no prediction to leave.

    The first one counts as whole.
    """
    last = max(frame for frame in frames if frame == frames[0] or frame in whole)
    return tuple(frame for frame in frames if frame <= last)


class MergingSegmenter:
    """Takes the place of the model in the forward pass: merges what it says with what the backward pass has said."""

    def __init__(
        self, model: SegmenterLike | None, saved: SavedPredictions, rule: MergeRule, backward: range
    ) -> None:
        """Prepare the forward pass.

        Args:
            model: at its start, or None where only the backward pass counts.
            saved: what the backward pass has said.
            rule: how to merge.
            backward: the frames of the backward pass; the first of them comes first here too.
        """
        self._model = model
        self._saved = saved
        self._rule = rule
        self._backward = backward
        self._next_frame = backward.start

    def steps(
        self, frames: Sequence[np.ndarray], masks: Mapping[int, np.ndarray] | None = None
    ) -> list[PredictionLike]:
        """Segment consecutive frames; see `SegmenterLike.steps`."""
        forward: Sequence[PredictionLike | None] = [None] * len(frames)
        if self._model is not None:
            forward = self._model.steps(
                frames,
                {
                    place: self._filled(self._next_frame + place, mask)
                    for place, mask in (masks or {}).items()
                },
            )
        merged = []
        for pixels, prediction in zip(frames, forward, strict=True):
            reached = self._next_frame in self._backward
            backward = self._saved.read(self._next_frame) if reached else None
            shape = (pixels.shape[0], pixels.shape[1])
            merged.append(self._rule.merge(self._next_frame, prediction, backward, shape))
            self._next_frame += 1
        return merged

    def remove(self, object_ids: Sequence[int]) -> None:
        """Follow objects no longer; the backward pass, which begins with their last mask, shows none of them here."""
        if self._model is not None:
            self._model.remove(object_ids)

    def _filled(self, frame: int, mask: np.ndarray) -> np.ndarray:
        """Return a mask in which pixels to leave show its new objects where the backward pass has found them.

        The forward pass begins with these objects here, so that it has no prediction to leave.
        """
        left = mask == LEAVE
        if frame not in self._backward or not left.any():
            return mask
        found = self._saved.read(frame).labels
        new = [object_id for object_id, frames in self._rule.annotated.items() if frames[0] == frame]
        filled = left & np.isin(found, new)
        if (filled == left).all():  # one stays, as 0 is background for all objects only in a mask with such
            filled.flat[filled.argmax()] = False
        return np.where(filled, found, mask)

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on exactly here, together with the saved predictions."""
        return {"next": self._next_frame, "model": None if self._model is None else self._model.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._next_frame = state["next"]
        if self._model is not None:
            self._model.load_state_dict(state["model"])
