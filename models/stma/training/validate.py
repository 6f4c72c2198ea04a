"""Validation with the real `Segmenter` under the DAVIS protocol."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from stma.config import SegmenterConfig
from stma.errors import DataError
from stma.evaluation import DatasetScore, IdentityCounter, SequenceScore, SequenceScorer
from stma.metrics import region_similarity
from stma.network.model import STMA
from stma.segmenter import Segmenter
from stma.training.distributed import Group
from stma.training.pool import VideoSequence, read_label, read_pair
from stma.training.scores import ValidationScores


@dataclass(frozen=True)
class MaskResult:
    """One predicted mask: `confidence` and J, each in 0..1."""

    frame: int
    object_id: int
    confidence: float
    region: float


@dataclass(frozen=True)
class ClipResult:
    """How a clip was followed: scores, identity switches, every predicted mask, and mean seconds per frame of
    `Segmenter.step` alone."""

    score: SequenceScore
    switches: int
    masks: tuple[MaskResult, ...]
    seconds_per_frame: float

    def region(self, first: int, last: int) -> float:
        """Mean J over the frames `first` up to `last` (exclusive); nan without any."""
        values = [mask.region for mask in self.masks if first <= mask.frame < last]
        return float(np.mean(values)) if values else float("nan")


def follow_clip(
    model: STMA, name: str, frames: Iterable[tuple[np.ndarray, np.ndarray]], config: SegmenterConfig
) -> ClipResult:
    """Follow the objects of a labelled clip from the first frame that shows each, and score the rest.

    Args:
        model: network to validate.
        name: of the clip.
        frames: (H, W, 3) uint8 RGB and (H, W) true ids of each frame; late objects are given where they first appear.
        config: settings of the `Segmenter`.
    """
    segmenter = Segmenter(model, config)
    scorer, identities = SequenceScorer(name), IdentityCounter()
    masks: list[MaskResult] = []
    seconds, index = 0.0, -1
    for index, (frame, truth) in enumerate(frames):
        known = segmenter.object_ids
        new = truth.copy()
        new[np.isin(truth, known)] = 0
        begun = time.perf_counter()
        prediction = segmenter.step(frame, new if new.any() else None)
        seconds += time.perf_counter() - begun
        scorer.add(truth, prediction.labels)
        identities.add(truth, prediction.labels)
        for object_id in known:
            region = region_similarity(prediction.labels == object_id, truth == object_id)
            masks.append(MaskResult(index, object_id, prediction.confidence[object_id], region))
    return ClipResult(scorer.result(), identities.switches, tuple(masks), seconds / max(1, index + 1))


def read_frames(sequence: VideoSequence) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames and labels of a sequence, one at a time."""
    for pair in sequence.frames:
        yield read_pair(pair)


def require_scorable(sequence: VideoSequence) -> None:
    """Raise DataError where the frames of a sequence differ in size, or none shows an object early enough."""
    frames = tuple(dict.fromkeys(sequence.frames))
    size = _stated_size(frames[0].image, turns=True)
    for frame in frames:
        for path, turns in ((frame.image, True), (frame.label, False)):
            width, height = _stated_size(path, turns)
            if (width, height) != size:
                raise DataError(
                    f"{sequence.name} cannot be scored: {path} has {width} x {height} pixels and {frames[0].image} "
                    f"{size[0]} x {size[1]}",
                    "bring its frames and label maps to one size, or take it out of splits.json",
                )
    given = sequence.frames[:-2]  # an object is scored from the frame after, up to the last
    if not any(read_label(frame.label).any() for frame in given):
        raise DataError(
            f"{sequence.name} cannot be scored: it shows no object before its last two frames",
            "give it three frames or more with an object on the first, or take it out of splits.json",
        )


def _stated_size(path: Path, turns: bool) -> tuple[int, int]:
    """Width and height by the header of a picture, `turns` if it is shown as its EXIF data say."""
    try:
        with Image.open(path) as image:
            turned = turns and image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else image.size
    except (OSError, SyntaxError) as error:  # PIL takes some damage for a false syntax
        raise DataError(f"{path} is not a readable image", "restore it or save it again") from error


@dataclass(frozen=True)
class Validator:
    """Scores a model on sequences, shared out among the processes of a training run.

    Raises:
        DataError: a sequence can give no score.
    """

    sequences: tuple[VideoSequence, ...]
    config: SegmenterConfig
    stop: int | None = None  # frames per sequence; shorter while training, all for a figure that is reported

    def __post_init__(self) -> None:
        for sequence in self._watched:
            require_scorable(sequence)

    def __call__(self, model: STMA, group: Group) -> ValidationScores:
        """The scores of all sequences; the same on every process."""
        mine = [
            follow_clip(model, sequence.name, read_frames(sequence), self.config).score
            for sequence in self._watched[group.rank :: group.size]
        ]
        every: list[SequenceScore] = []
        for part in group.gather(mine):
            assert isinstance(part, Iterable)
            every.extend(part)
        mean = DatasetScore(tuple(every)).over_sequences
        return ValidationScores(mean, {score.name: score.score.mean for score in every})

    @property
    def _watched(self) -> tuple[VideoSequence, ...]:
        return tuple(replace(sequence, frames=sequence.frames[: self.stop]) for sequence in self.sequences)
