"""The values of --mask and --objects.

--mask first.png                     the first frame; all formats
--mask 120=fix.png                   frame 120 of the video (counted from 0, whatever --start says)
--mask person=a.png --mask dog=b.png one object per file, ids in the order given, names kept
--mask 120:person=a.png              the same on frame 120
--mask all.json#00120.jpg            one picture of a COCO file that has several
--mask masks                         a folder: each mask in it is named after its frame, as 00120.png
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stma.errors import MaskError
from stma.labels import LEAVE, ids_in
from stma_cli.masks.annotation import Annotation, LabelPainter, ObjectIds
from stma_cli.masks.background import MAKE_IT_BLACK, background_notes
from stma_cli.masks.coco import WantedPicture
from stma_cli.masks.folder import expand_folders
from stma_cli.masks.other_frames import frame_notes, marked_elsewhere
from stma_cli.masks.reader import HOW_TO_ERASE, SAYS_NOTHING, mark_one, read_annotation
from stma_cli.masks.selection import ids_of
from stma_cli.note import Note

_OPTION = re.compile(r"(?:(?P<frame>\d+)|(?:(?P<named_frame>\d+):)?(?P<name>[^=]+))=(?P<file>.+)", re.DOTALL)
_NEGATIVE = re.compile(r"(-\d+)(?::|$)")


@dataclass(frozen=True)
class MaskOption:
    """One --mask value: the frame (None = the first one processed), the object's name, the file."""

    frame: int | None
    name: str | None
    path: Path
    image: str | None = None

    @property
    def typed(self) -> str:
        """The value as it is typed."""
        file = str(self.path) if self.image is None else f"{self.path}#{self.image}"
        place = ":".join(str(part) for part in (self.frame, self.name) if part is not None)
        return f"{place}={file}" if place else file


def parse_mask_option(text: str) -> MaskOption:
    """Take a --mask value apart; a value that is an existing file is taken as it is, "=" or not.

    Raises:
        MaskError: when the frame is negative.
    """
    if Path(text).exists():
        return MaskOption(None, None, Path(text))
    match = _OPTION.fullmatch(text)
    frame, name, file = (None, None, text) if match is None else _fields(match)
    path, image = Path(file), None
    if not path.exists() and ".json#" in file:
        before, _, image = file.rpartition("#")
        path = Path(before)
    return MaskOption(frame, name, path, image)


def _fields(match: re.Match[str]) -> tuple[int | None, str | None, str]:
    frame, negative = match["frame"] or match["named_frame"], _NEGATIVE.match(match["name"] or "")
    if frame is None and negative:
        raise MaskError(
            f"--mask {match[0]} has the frame {negative[1]}, but frames count from 0",
            f"give the number of the frame, or --mask 0:{match[0]} for an object called {match['name']}",
        )
    return (int(frame) if frame else None), match["name"], match["file"]


def read_mask_options(
    options: Sequence[str], width: int, height: int, first_frame: int = 0, stems: Sequence[str] = ()
) -> dict[int, Annotation]:
    """Read all --mask values of a run.

    Where the masks of several named objects overlap, the one given later wins, with a note. Some masks may be
    empty as long as one is not, with a note.

    Args:
        options: the values as typed, see the top of this module.
        width: columns of the video, display orientation.
        height: its rows.
        first_frame: the frame that masks without a number belong to.
        stems: the file names of all frames without ending, where the video is a folder of pictures.

    Returns:
        The annotations by frame number, ascending; the same object has the same id and name in all.

    Raises:
        MaskError: when a mask cannot be used, all are empty, or two are given for the same thing.
        AnnotationError: when a JSON file cannot be used.
    """
    if not options:
        raise MaskError("no mask is given, so there is nothing to follow", "add --mask first.png")
    by_frame: dict[int, list[MaskOption]] = {}
    for text in expand_folders(options, stems):
        option = parse_mask_option(text)
        by_frame.setdefault(first_frame if option.frame is None else option.frame, []).append(option)

    def read_all(object_ids: ObjectIds, correction: bool) -> dict[int, Annotation]:
        return {
            frame: _read_frame(
                WantedPicture(frame, stems[frame] if frame < len(stems) else None),
                given,
                width,
                height,
                object_ids,
                correction,
            ).compact()
            for frame, given in by_frame.items()
        }

    # a mask of 0 and 255 alone corrects, on whichever side the others lie, unless no other shows an object
    object_ids = ObjectIds()
    read = read_all(object_ids, correction=True)
    if not any(annotation.object_ids for annotation in read.values()):
        object_ids = ObjectIds()
        read = read_all(object_ids, correction=False)
    if not any(annotation.object_ids for annotation in read.values()):
        files = [parse_mask_option(text).path for text in options]
        frame = min(by_frame)
        elsewhere = marked_elsewhere(by_frame[frame][0], read[frame].others, frame, stems)
        raise elsewhere or MaskError(
            f"{', '.join(map(str, files))} is empty, all of it is background", mark_one(*files)
        )
    notes = frame_notes(by_frame, read, stems)
    for frame, annotation in read.items():
        if not annotation.labels.any():
            notes[frame].append(Note("empty", f"{SAYS_NOTHING}; {HOW_TO_ERASE}"))
        notes[frame] += [
            Note(note.code, f"{note}; {MAKE_IT_BLACK}") for note in background_notes(annotation.labels)
        ]
    return {
        frame: replace(
            read[frame],
            names={key: object_ids.name_of(key) for key in read[frame].object_ids},
            notes=(*read[frame].notes, *notes[frame]),
        )
        for frame in sorted(read)
    }


def _read_frame(
    place: WantedPicture,
    given: list[MaskOption],
    width: int,
    height: int,
    object_ids: ObjectIds,
    correction: bool,
) -> Annotation:
    named = [option for option in given if option.name is not None]
    if len(named) < len(given):
        if len(given) > 1:
            raise MaskError(
                f"frame {place.frame} has {len(given)} masks "
                f"({', '.join(str(option.path) for option in given)})",
                "give one file with all objects, or "
                "name every file, as in --mask person=a.png --mask dog=b.png",
            )
        path, wanted = given[0].path, replace(place, image=given[0].image)
        return read_annotation(
            path,
            width,
            height,
            wanted=wanted,
            object_ids=object_ids,
            allow_empty=True,
            correction=correction,
        )
    painter, notes = LabelPainter(width, height), []
    names = [option.name for option in named]
    for option in named:
        if names.count(option.name) > 1:
            raise MaskError(
                f"frame {place.frame} has two masks named {option.name}", "give each object its own name"
            )
        single = read_annotation(option.path, width, height, wanted=replace(place, image=option.image))
        if len(single.object_ids) > 1:
            raise MaskError(
                f"{option.path} is given as {option.name}, but holds {len(single.object_ids)} objects",
                f"give a mask of one object, or leave the name out: --mask {option.path}",
            )
        notes += [Note(note.code, f"{option.name}: {note}") for note in single.notes]
        painter.paint(object_ids.id_for(option.name, option.name), single.labels > 0)
    hidden = painter.hidden()
    if hidden:
        raise MaskError(
            f"nothing is left of {', '.join(map(object_ids.name_of, hidden))} on frame {place.frame}, later "
            "masks cover it",
            "give it after them, or check that the files differ",
        )
    notes += painter.overlap_notes(object_ids)
    return Annotation(painter.labels, object_ids.names_in(painter.labels), tuple(notes))


def select_objects(annotations: Mapping[int, Annotation], wanted: str) -> dict[int, Annotation]:
    """Keep only some objects.

    Args:
        annotations: by frame number.
        wanted: the value of --objects: ids and names with commas between, such as "1,3" or "person,dog".

    Returns:
        The annotations with all other objects turned to background.

    Raises:
        MaskError: when an object is in no mask.
    """
    names: dict[int, str] = {}
    for annotation in annotations.values():
        names |= annotation.names
    chosen = ids_of(wanted, names)
    return {frame: _only(annotation, chosen) for frame, annotation in annotations.items()}


def first_masks(annotations: Mapping[int, Annotation]) -> dict[int, Annotation]:
    """Keep of each object its first mask alone, as scores of semi-supervised segmentation ask for.

    Args:
        annotations: by frame number, such as those of a whole data set, where later masks are the truth.

    Returns:
        The annotations of frames on which an object has its first mask; on later ones all others stay as predicted.
    """
    seen: set[int] = set()
    kept: dict[int, Annotation] = {}
    for frame in sorted(annotations):
        annotation = annotations[frame]
        new = frozenset(annotation.object_ids) - seen
        if new:
            without_leave = replace(annotation, labels=np.maximum(annotation.labels, 0))
            kept[frame] = _only(without_leave, new) if seen else annotation
        seen |= new
    return kept


def _only(annotation: Annotation, chosen: frozenset[int]) -> Annotation:
    stays = np.isin(annotation.labels, [LEAVE, *chosen])
    labels = np.where(stays, annotation.labels, 0).astype(annotation.labels.dtype)
    kept = set(ids_in(labels))
    names = {key: name for key, name in annotation.names.items() if key in kept}
    return replace(annotation, labels=labels, names=names).compact()
