"""`--until`: objects that are followed only up to a frame, as they have left the scene for good."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stma.errors import MaskError, SettingsError
from stma_cli.masks.selection import ids_of
from stma_cli.video.moments import frame_numbers

if TYPE_CHECKING:
    from stma_cli.masks import Annotation

OPTION = "--until"


def with_frame_numbers(typed: Sequence[str], video: Path, rate: str | None) -> tuple[str, ...]:
    """Return --until values in which times are numbers of frames: ("ball=1625",) for ["ball=1:05"] at 25 a second.

    Args:
        typed: the values as typed.
        video, rate: as of `frame_numbers`.

    Raises:
        SettingsError: one is not of the form OBJECT=FRAME.
        VideoError: the video cannot be read.
    """
    values = []
    for text in typed:
        wanted, _, moment = text.rpartition("=")
        if not wanted:
            raise SettingsError(
                f"{OPTION} {text} names no object or no frame", f"give both, as in {OPTION} ball=120"
            )
        (frame,) = frame_numbers(video, rate, until=moment)
        values.append(f"{wanted}={frame}")
    return tuple(values)


def ends_of(
    values: Sequence[str], names: Mapping[int, str], annotations: "Mapping[int, Annotation]"
) -> dict[int, int]:
    """Return the first frame without each of the objects that end, by id.

    Args:
        values: as of `with_frame_numbers`.
        names: of all objects, by id.
        annotations: by frame.

    Raises:
        MaskError: an object is in no mask, ends twice, or is marked on a frame behind its end.
    """
    ends: dict[int, int] = {}
    for text in values:
        wanted, _, frame = text.rpartition("=")
        for object_id in ids_of(wanted, names, OPTION):
            if ends.setdefault(object_id, int(frame)) != int(frame):
                raise MaskError(f"{OPTION} ends {names[object_id]} on two frames", "give one of them")
    for object_id, end in ends.items():
        last = max(frame for frame, said in annotations.items() if object_id in said.object_ids)
        if last >= end:
            raise MaskError(
                f"{OPTION} {object_id}={end} ends {names[object_id]}, which has a mask on frame {last}",
                f"give {OPTION} {object_id}={last + 1} or more, or take that mask away",
            )
    return ends
