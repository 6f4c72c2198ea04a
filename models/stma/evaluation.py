"""Scores of a sequence and of a data set, by the DAVIS semi-supervised protocol, and identity switches.

Every object is annotated on one frame and scored on all frames after it but the last of the sequence, since
DAVIS leaves out the first and the last. An object that enters later is annotated where the ground truth
first shows it, so its scores start one frame after that. An object without a prediction is an empty mask: it
scores zero wherever the ground truth shows it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from stma.errors import DataError
from stma.labels import ids_in
from stma.metrics import boundary_accuracy, region_similarity

REGION, BOUNDARY, MEAN = MEASURES = ("J", "F", "J&F")  # names of the measures, as files and tables have them
COVERED = 0.5  # share of a true object that an id must cover to own it


@dataclass(frozen=True)
class Score:
    """A pair of mean measures, each in 0..1."""

    region: float  # J
    boundary: float  # F

    @property
    def mean(self) -> float:
        """J&F, the mean of J and F."""
        return (self.region + self.boundary) / 2

    def plain(self) -> dict[str, float]:
        """The measures by their names, in the order of `MEASURES`."""
        return {REGION: self.region, BOUNDARY: self.boundary, MEAN: self.mean}


@dataclass(frozen=True)
class ObjectScore:
    """The means of one object over its scored frames."""

    object_id: int
    score: Score
    frames: int  # number of frames scored


@dataclass(frozen=True)
class SequenceScore:
    """The objects of one sequence, in the order of their ids."""

    name: str
    objects: tuple[ObjectScore, ...]
    notes: tuple[str, ...] = ()  # what a reader of the numbers should know

    @property
    def score(self) -> Score:
        """Mean over the objects."""
        return mean_score(item.score for item in self.objects)


@dataclass(frozen=True)
class DatasetScore:
    """The sequences of a data set, in the order given."""

    sequences: tuple[SequenceScore, ...]

    @property
    def over_objects(self) -> Score:
        """Mean over all objects of all sequences: the number that DAVIS publishes."""
        return mean_score(item.score for sequence in self.sequences for item in sequence.objects)

    @property
    def over_sequences(self) -> Score:
        """Mean over the sequences, whatever their number of objects."""
        return mean_score(sequence.score for sequence in self.sequences)


def mean_score(scores: Iterable[Score]) -> Score:
    """Return the mean of J and the mean of F.

    Raises:
        DataError: when there is nothing to average.
    """
    collected = list(scores)
    if not collected:
        raise DataError("there is no score to average", "give at least one sequence with one object")
    count = len(collected)
    return Score(sum(s.region for s in collected) / count, sum(s.boundary for s in collected) / count)


class SequenceScorer:
    """Scores one sequence frame by frame, holding one frame at a time.

    Call `add` for every ground-truth frame in order, the first included, then `result`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._frames = 0
        self._annotated: dict[int, int] = {}  # object id -> frame where the ground truth first shows it
        self._measured: dict[int, list[Score]] = {}  # object id -> scores, without the waiting frame
        self._waiting: dict[int, Score] = {}  # scores of the newest frame; dropped if it is the last
        self._predicted: set[int] = set()  # ids in any prediction so far

    def add(self, truth: np.ndarray, prediction: np.ndarray | None) -> None:
        """Take the next frame.

        Args:
            truth: (H, W) integer array of object ids, 0 is background.
            prediction: the same for the prediction and of the same size; None is accepted up to the frame
                with the first object, which is given to the method and never scored.

        Raises:
            DataError: when the sizes differ or a prediction is missing.
        """
        for object_id, score in self._waiting.items():
            self._measured[object_id].append(score)
        self._waiting = {}
        if self._annotated:
            if prediction is None:
                raise DataError(
                    f"{self._name}: frame {self._frames} has no prediction",
                    "give a label map for every frame after the first",
                )
            if prediction.shape != truth.shape:
                raise DataError(
                    f"{self._name}: the prediction of frame {self._frames} is "
                    f"{_size_text(prediction)} and the ground truth {_size_text(truth)}",
                    "scale the predictions to the size of the ground truth",
                )
            for object_id in self._annotated:
                mask, true_mask = prediction == object_id, truth == object_id
                self._waiting[object_id] = Score(
                    region_similarity(mask, true_mask), boundary_accuracy(mask, true_mask)
                )
        for object_id in ids_in(truth):
            if object_id not in self._annotated:
                self._annotated[object_id] = self._frames
                self._measured[object_id] = []
        if prediction is not None:
            self._predicted.update(ids_in(prediction))
        self._frames += 1

    def result(self) -> SequenceScore:
        """Return the means; the newest frame is the last and is left out.

        Raises:
            DataError: when no object has a frame to be scored on.
        """
        scored = {object_id: scores for object_id, scores in self._measured.items() if scores}
        if not scored:
            raise DataError(
                f"{self._name}: nothing can be scored in {self._frames} frames with "
                f"{len(self._annotated)} objects, because the first and the last frame are left out",
                "give ground truth of three frames or more, with an object before the last two",
            )
        objects = tuple(
            ObjectScore(object_id, mean_score(scored[object_id]), len(scored[object_id]))
            for object_id in sorted(scored)
        )
        return SequenceScore(self._name, objects, self._notes(scored))

    def _notes(self, scored: Mapping[int, object]) -> tuple[str, ...]:
        notes = []
        unknown = sorted(self._predicted - set(self._annotated))
        if unknown:
            notes.append(f"predicted ids unknown to the ground truth count as background: {_listed(unknown)}")
        unscored = sorted(set(self._annotated) - set(scored))
        if unscored:
            notes.append(f"objects that appear too late to be scored: {_listed(unscored)}")
        late = sorted(object_id for object_id in scored if self._annotated[object_id] > 0)
        if late:
            notes.append(f"objects scored from the frame after their first appearance: {_listed(late)}")
        return tuple(notes)


class IdentityCounter:
    """Counts identity switches over one sequence: how often a method takes one object for another. Holds one frame at
    a time.

    Counted as in multi-object tracking (CLEAR MOT, Bernardin and Stiefelhagen 2008): a true object is matched with the
    predicted id that covers it, and every change of that id is one switch.
    """

    def __init__(self) -> None:
        self.switches = 0
        self._owner: dict[int, int] = {}

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Take the next frame.

        Args:
            truth: (H, W) integer array of object ids, 0 is background.
            prediction: the same for the prediction, of the same size.
        """
        for object_id in ids_in(truth):
            inside = prediction[truth == object_id]
            ids, counts = np.unique(inside[inside > 0], return_counts=True)
            if not len(ids) or counts.max() < COVERED * inside.size:
                continue  # lost is not switched: J tells of it
            owner = int(ids[counts.argmax()])
            self.switches += owner != self._owner.get(object_id, object_id)
            self._owner[object_id] = owner


def _size_text(labels: np.ndarray) -> str:
    return f"{labels.shape[1]}x{labels.shape[0]}" if labels.ndim == 2 else f"of shape {labels.shape}"


def _listed(object_ids: list[int]) -> str:
    return ", ".join(str(object_id) for object_id in object_ids)
