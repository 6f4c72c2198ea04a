"""Folders that hold several clips, and what they share in one file."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from stma.errors import DataError
from stma_cli.convert.clip import Clip
from stma_cli.masks.image_file import read_picture
from stma_cli.result_layout import BATCH_FILE, NAMES_FILE, REPORT_FILE
from stma_cli.sequences import MaskSequence, find_sequences


def clip_folders(path: Path) -> dict[str, Path]:
    """Return the folders of label PNGs in a folder of clips, by the names of the clips; none in any other folder.

    Clips are results, which have `names.json` or `report.json`, whatever `batch.json` lies above, and two or
    more folders of indexed PNGs. Other folders of PNGs are objects of one clip.

    Raises:
        MaskError: when a PNG cannot be read.
    """
    if not path.is_dir() or _has_file(path, NAMES_FILE, REPORT_FILE):
        return {}
    try:
        found = find_sequences(path)
    except DataError:
        return {}
    if found[0].folder == path or not (_has_file(path, BATCH_FILE) or _are_clips(found)):
        return {}
    return {sequence.name: sequence.folder for sequence in found}


def _are_clips(found: Sequence[MaskSequence]) -> bool:
    if any(_has_file(sequence.folder, NAMES_FILE, REPORT_FILE) for sequence in found):
        return True
    firsts = [next(iter(sequence.labels.values())) for sequence in found]
    return len(firsts) > 1 and all(read_picture(first).kind == "index" for first in firsts)


def _has_file(folder: Path, *names: str) -> bool:
    return any((folder / name).is_file() for name in names)


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
