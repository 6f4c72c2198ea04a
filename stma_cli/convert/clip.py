"""What every format is read into and written from: one label map per frame, with the names of the objects."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np

from stma.errors import AnnotationError
from stma.labels import LARGEST_ID, ids_in
from stma_cli.masks.annotation import LabelPainter, ObjectIds
from stma_cli.masks.image_file import LARGEST_PICTURE
from stma_cli.wording import counted

_UNSAFE = frozenset('<>:"/\\|?*')  # in file names, on one system or another
_PORTS = {f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³"}
_DEVICES = {"con", "conin$", "conout$", "prn", "aux", "nul", *_PORTS}  # names that Windows keeps for itself


@dataclass(frozen=True)
class LabelledFrame:
    """One frame: its name without ending, and (H, W) integer object ids, 0 = background."""

    name: str
    labels: np.ndarray


class Notes:
    """Collects what the user should know, each sentence once, with the number of frames it concerns."""

    def __init__(self) -> None:
        self._frames: dict[str, dict[str, None]] = {}

    def add(self, sentence: str, frame: str | None = None) -> None:
        """Note a sentence, about the frame of that name if one is given."""
        frames = self._frames.setdefault(sentence, {})
        if frame is not None:
            frames[frame] = None

    def lines(self) -> tuple[str, ...]:
        """Return the sentences in the order in which they came up."""
        return tuple(
            f"{sentence} ({counted(len(frames), 'frame')}, first {next(iter(frames))})"
            if frames
            else sentence
            for sentence, frames in self._frames.items()
        )


@dataclass(frozen=True)
class Origin:
    """What is known of the pictures under the masks.

    Attributes:
        clip: name of the clip; "" where nothing states it.
        pictures: name of a frame -> file name of its picture, as far as they are known.
    """

    clip: str = ""
    pictures: Mapping[str, str] = field(default_factory=dict)

    def picture_of(self, frame: str) -> str:
        """Return the file name of a frame's picture, which is taken for a JPEG where nothing states it."""
        return self.pictures.get(frame, f"{frame}.jpg")


@dataclass(frozen=True)
class Source:
    """An opened source of masks.

    Attributes:
        path: the file or folder, for messages.
        width: columns of every frame.
        height: rows of every frame.
        frames: gives the frames in order; every call starts anew.
        object_ids: names and ids of the objects; may grow while frames are read.
        declared: ids of objects that the source names, whether or not they are to be seen.
        notes: what came up while reading.
        origin: of the frames.
    """

    path: str
    width: int
    height: int
    frames: Callable[[], Iterator[LabelledFrame]]
    object_ids: ObjectIds
    declared: frozenset[int] = frozenset()
    notes: Notes = field(default_factory=Notes)
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True)
class Clip:
    """Masks of a clip of which everything but the pixels is known, ready to be written.

    Attributes:
        width: columns of every frame.
        height: rows of every frame.
        names: object id -> name, ids ascending.
        frame_names: the names of the frames, in order and all different.
        frames: gives the frames in that order; every call starts anew.
        notes: what the writer adds to.
        origin: of the frames.
        id_offset: what is added to the ids in a file that holds several clips.
    """

    width: int
    height: int
    names: dict[int, str]
    frame_names: tuple[str, ...]
    frames: Callable[[], Iterator[LabelledFrame]]
    notes: Notes
    origin: Origin
    id_offset: int = 0


def survey(source: Source) -> Clip:
    """Read a source once without keeping any pixels, so that nothing is written from one that is broken.

    Raises:
        AnnotationError: when it is too large, has no frames, two whose names differ at most in upper and lower case,
            frames of several sizes or an impossible id.
        InputError: whatever the format's reader refuses.
    """
    if source.width * source.height > LARGEST_PICTURE:
        raise AnnotationError(
            f"{source.path} has frames of {source.width}x{source.height}, more than "
            f"{LARGEST_PICTURE // 1_000_000} million pixels",
            "correct the size, or convert smaller frames",
        )
    frame_names: dict[str, str] = {}  # by what they are to systems that do not tell upper from lower case
    seen = set(source.declared)
    for frame in source.frames():
        what = f"{source.path}: frame {frame.name}"
        if frame.name.casefold() in frame_names:
            raise AnnotationError(f"{what} is there twice", "give each frame a file name of its own")
        if frame.labels.shape != (source.height, source.width):
            rows, columns = frame.labels.shape
            raise AnnotationError(
                f"{what} is {columns}x{rows}, but the first is {source.width}x{source.height}",
                "convert frames of one size at a time",
            )
        lowest = int(frame.labels.min(initial=0))
        if lowest < 0:
            raise AnnotationError(
                f"{what} has the negative id {lowest}", "write 0 where nothing is marked, or is to be ignored"
            )
        ids = ids_in(frame.labels)
        if ids and max(ids) > LARGEST_ID:
            raise AnnotationError(f"{what} has ids outside 0 to {LARGEST_ID}", "give the objects smaller ids")
        frame_names[frame.name.casefold()] = frame.name
        seen.update(ids)
    if not frame_names:
        raise AnnotationError(f"{source.path} has no frames", "give one with at least one annotated frame")
    names = {object_id: source.object_ids.name_of(object_id) for object_id in sorted(seen)}
    ordered = tuple(frame_names.values())

    def frames() -> Iterator[LabelledFrame]:
        count = 0
        for expected, frame in zip(ordered, source.frames(), strict=False):
            if frame.name != expected:
                break
            count += 1
            yield frame
        if count != len(ordered):
            raise AnnotationError(f"{source.path} changed while it was read", "convert it again")

    return Clip(source.width, source.height, names, ordered, frames, source.notes, source.origin)


def with_own_ids(clips: Iterable[Clip]) -> list[Clip]:
    """Return the clips of one file, in which the ids of each begin above those of the clip before it."""
    numbered: list[Clip] = []
    highest = 0
    for clip in clips:
        numbered.append(replace(clip, id_offset=highest))
        highest += max(clip.names, default=0)
    return numbered


def names_in_file(clips: Iterable[Clip]) -> dict[int, str]:
    """Return the names of the objects of all clips by their ids in the file."""
    return {clip.id_offset + object_id: name for clip in clips for object_id, name in clip.names.items()}


def paint(
    width: int,
    height: int,
    masks: Iterable[tuple[int, np.ndarray]],
    object_ids: ObjectIds,
    notes: Notes,
    frame: str,
) -> LabelledFrame:
    """Make a frame of (id, (H, W) bool mask) pairs; where they overlap the later wins, with a note."""
    painter = LabelPainter(width, height)
    for object_id, mask in masks:
        painter.paint(object_id, mask)
    if painter.overlap_notes(object_ids):
        notes.add("objects overlap: the later in the file wins", frame)
    return LabelledFrame(frame, painter.labels)


def known_id(object_ids: ObjectIds, key: Hashable, name: str, wanted: object) -> int:
    """Return the id of the object `key`: `wanted` where that is a possible id and still free."""
    is_number = isinstance(wanted, int) and not isinstance(wanted, bool)
    possible = wanted if is_number and 1 <= wanted <= LARGEST_ID else None  # type: ignore[operator]
    return object_ids.id_for(key, name, possible)  # type: ignore[arg-type]


def frame_name(file_name: object) -> str:
    """Return the name of the frame that a file name of the source stands for: its stem, safe as a file name."""
    return safe_name(_posix(file_name).stem, "frame")


def folder_of(file_name: object) -> PurePosixPath:
    """Return the folder in a file name of the source, "." where it has none."""
    return _posix(file_name).parent


def _posix(file_name: object) -> PurePosixPath:
    return PurePosixPath(str(file_name).replace("\\", "/"))


def safe_name(name: str, fallback: str) -> str:
    """Return a name that is a plain file name on every system: no separators, no device, not hidden, not empty."""
    kept = "".join("_" if char in _UNSAFE or not char.isprintable() else char for char in name)
    stem, dot, rest = (kept.strip(" .")[:200].rstrip(" .") or fallback).partition(".")
    if stem.rstrip().casefold() in _DEVICES:  # Windows opens the device whatever the ending
        stem = f"{stem.rstrip()}_"
    return f"{stem}{dot}{rest}"
