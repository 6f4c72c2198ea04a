"""What one annotated frame says, and which id belongs to which object over several annotated frames."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stma.errors import MaskError
from stma.labels import LARGEST_ID, ids_in
from stma_cli.note import Note
from stma_cli.wording import shortened

FRAMES_SHOWN = 4  # of those that one note is about


@dataclass(frozen=True)
class Annotation:
    """The objects marked on one frame.

    Attributes:
        labels: (H, W) integer object ids at the size of the video, 0 = background, `stma.LEAVE` = as predicted.
        names: the name of every id in `labels`; "object 3" where the file gives none.
        notes: sentences the user should see, such as "scaled from 960x540".
        picture: name of the picture that it was drawn on, where the file says so.
        others: names of the further pictures that the same file marks objects on.
    """

    labels: np.ndarray
    names: dict[int, str]
    notes: tuple[Note, ...] = ()
    picture: str | None = None
    others: tuple[str, ...] = ()

    @cached_property
    def object_ids(self) -> tuple[int, ...]:
        """The ids in `labels`, ascending, without the background."""
        return ids_in(self.labels)

    def compact(self) -> "Annotation":
        """Return it with labels in as few bytes as their values need; one without any holds no pixels."""
        if not self.labels.any():
            return replace(self, labels=np.broadcast_to(np.uint8(0), self.labels.shape))
        lowest, largest = (np.min_scalar_type(value) for value in (self.labels.min(), self.labels.max()))
        return replace(self, labels=self.labels.astype(np.result_type(lowest, largest)))


def note_lines(annotations: Mapping[int, Annotation]) -> list[str]:
    """Return the notes on all masks by frame number, each sentence once with the frames that it is about."""
    frames: dict[Note, list[int]] = {}
    for frame, annotation in annotations.items():
        for note in annotation.notes:
            frames.setdefault(note, []).append(frame)
    return [
        f"mask of frame {said[0]}: {note}"
        if len(said) == 1
        else f"masks of {len(said)} frames ({shortened(said, FRAMES_SHOWN)}), each: {note}"
        for note, said in frames.items()
    ]


def numbered(name: str, count: int) -> str:
    """Return "dog" for the first object of a name and "dog 2" for the second."""
    return name if count <= 1 else f"{name} {count}"


class ObjectIds:
    """Gives every object one id, the same in all masks of a run.

    A key is what identifies the object in a file: its name, a colour, a track number. Keys that were seen
    before keep their id; new ones get the preferred id if it is free, else the smallest free one.
    """

    def __init__(self) -> None:
        self._id_of: dict[Hashable, int] = {}
        self._name_of: dict[int, str] = {}
        self._used: set[int] = set()

    def reserve(self, object_id: int, name: str | None = None, key: Hashable | None = None) -> int:
        """Take an id that a file states itself, and remember the object's name and key."""
        if not 1 <= object_id <= LARGEST_ID:
            raise MaskError(
                f"the object id {object_id} is outside 1 to {LARGEST_ID}", "give the objects smaller ids"
            )
        self._used.add(object_id)
        if name:
            self._name_of.setdefault(object_id, name)
            self._id_of.setdefault(name, object_id)
        if key is not None:
            self._id_of.setdefault(key, object_id)
        return object_id

    def id_for(self, key: Hashable, name: str | None = None, preferred: int | None = None) -> int:
        """Return the id of the object `key`, and give it one if it is new."""
        if key in self._id_of:
            return self._id_of[key]
        object_id = preferred
        if object_id is None or object_id in self._used:
            object_id = next(value for value in range(1, LARGEST_ID + 2) if value not in self._used)
        self.reserve(object_id, key=key)
        if name:
            self._name_of.setdefault(object_id, self._unused_name(name))
            self._id_of.setdefault(self._name_of[object_id], object_id)
        return object_id

    def knows(self, object_id: int) -> bool:
        """Return whether an object has this id."""
        return object_id in self._used

    @property
    def keys(self) -> Mapping[Hashable, int]:
        """The ids by all that identifies an object so far."""
        return self._id_of

    def name_of(self, object_id: int) -> str:
        """Return the name a file gave to the object, or "object <id>"."""
        return self._name_of.get(object_id, f"object {object_id}")

    def names_in(self, labels: np.ndarray) -> dict[int, str]:
        """Return the names of all ids in an (H, W) label map."""
        return {object_id: self.name_of(object_id) for object_id in ids_in(labels)}

    def _unused_name(self, name: str) -> str:
        taken = set(self._name_of.values())
        candidate, count = name, 1
        while candidate in taken:
            count += 1
            candidate = f"{name} {count}"
        return candidate


class LabelPainter:
    """Builds a label map from one mask per object: where two overlap, the later one wins, with a note."""

    def __init__(self, width: int, height: int) -> None:
        self.labels = np.zeros((height, width), dtype=np.int32)
        self._covered: dict[tuple[int, int], int] = {}
        self._painted: list[int] = []

    def paint(self, object_id: int, mask: np.ndarray) -> None:
        """Paint one object; `mask` is (H, W) bool."""
        below = self.labels[mask]
        for other, pixels in zip(*np.unique(below, return_counts=True), strict=True):
            if other not in (0, object_id):
                pair = (object_id, int(other))
                self._covered[pair] = self._covered.get(pair, 0) + int(pixels)
        self.labels[mask] = object_id
        self._painted.append(object_id)

    def hidden(self) -> list[int]:
        """Return the painted ids of which nothing is left, because later ones cover them."""
        left = set(ids_in(self.labels))
        return [object_id for object_id in dict.fromkeys(self._painted) if object_id not in left]

    @property
    def covered_pixels(self) -> int:
        """How many pixels later objects have taken from earlier ones."""
        return sum(self._covered.values())

    def overlap_notes(self, object_ids: ObjectIds) -> list[Note]:
        """Return a sentence per pair of objects that overlap."""
        return [
            Note(
                "overlap",
                f"{object_ids.name_of(upper)} covers {pixels} pixels of {object_ids.name_of(lower)}: the later wins",
            )
            for (upper, lower), pixels in self._covered.items()
        ]
