"""What several clips share in one file."""

from collections.abc import Iterable
from dataclasses import replace

from stma_cli.convert.clip import Clip


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
