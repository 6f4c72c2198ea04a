"""Masks that look as if they were drawn on another frame, and files that mark objects on further frames."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stma.errors import MaskError
from stma_cli.frame_files import name_stem, trailing_number
from stma_cli.masks.annotation import Annotation
from stma_cli.masks.coco import NAMES_SHOWN
from stma_cli.masks.folder import frame_of_cvat
from stma_cli.note import Note
from stma_cli.wording import shell_command, shortened

if TYPE_CHECKING:
    from stma_cli.masks.options import MaskOption


def frame_notes(
    given: "Mapping[int, Sequence[MaskOption]]", read: Mapping[int, Annotation], stems: Sequence[str]
) -> dict[int, list[Note]]:
    """Return what to say about the frames that masks were taken for, by frame.

    Args:
        given: the --mask values by the frame that they were taken for.
        read: what they say.
        stems: the file names of all frames without ending, where the video is a folder of pictures.
    """
    notes: dict[int, list[Note]] = {frame: [] for frame in given}
    told: set[Path] = set()
    for frame, options in sorted(given.items()):
        for option in options:
            if option.frame is None:
                notes[frame] += _named_otherwise(option, read[frame].picture, frame, stems)
        option = options[0]
        others = {
            number: name
            for number, name in _others(option, read[frame].others, stems).items()
            if all(option.path != other.path for other in given.get(number, ()))
        }
        if others and option.path not in told:
            told.add(option.path)
            said = f"{option.path} also marks objects on {shortened(others.values(), NAMES_SHOWN)}, left out here"
            used = " ".join(_as_option(option, number) for number in list(others)[:NAMES_SHOWN])
            notes[frame].append(Note("other-frame", said, f"to use them, add {used}"))
    return notes


def marked_elsewhere(
    option: "MaskOption", others: Sequence[str], frame: int, stems: Sequence[str]
) -> MaskError | None:
    """Return the error of a file that marks nothing on its frame but on others; None where it marks nothing.

    Args:
        option: the --mask value.
        others: the pictures on which it marks objects.
        frame: the one that it was taken for.
        stems: as of `frame_notes`.
    """
    numbers = _others(option, others, stems)
    if not numbers:
        return None
    return MaskError(
        f"{option.path} marks nothing on frame {frame}, but on {shortened(numbers.values(), NAMES_SHOWN)}",
        f"give {_as_option(option, next(iter(numbers)))}",
    )


def _named_otherwise(
    option: "MaskOption", picture: str | None, frame: int, stems: Sequence[str]
) -> list[Note]:
    """Return a note where the annotated picture, or else the file, is named after another frame."""
    for name, what in ((picture, f"was drawn on {picture}, named"), (option.path.name, "is named")):
        named = _frame_named(name or "", stems)
        if named is not None:
            said = f"{option.path} is taken for frame {frame}, but {what} after frame {named}"
            fix = f"if that is its frame, give {_as_option(option, named)}"
            return [Note("other-frame", said, fix)] if named != frame else []
    return []


def _frame_named(name: str, stems: Sequence[str]) -> int | None:
    stem = name_stem(name)
    if stem in stems:
        return stems.index(stem)
    frame = frame_of_cvat(stem)
    return frame if frame is not None and (not stems or frame < len(stems)) else None


def _others(option: "MaskOption", others: Sequence[str], stems: Sequence[str]) -> dict[int, str]:
    """Return the names of pictures by their frames; none where the user has picked one by its name."""
    if option.image is not None:
        return {}
    position = {stem: frame for frame, stem in enumerate(stems)}
    names = map(name_stem, others)
    frames = [position.get(name) if stems else trailing_number(name) for name in names]
    count = Counter(frames)
    return {
        frame: name
        for frame, name in zip(frames, others, strict=True)
        if frame is not None and count[frame] == 1
    }


def _as_option(option: "MaskOption", frame: int) -> str:
    return shell_command(["--mask", replace(option, frame=frame).typed])
