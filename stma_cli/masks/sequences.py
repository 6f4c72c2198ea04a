"""Folders of label PNGs: which sequences or clips there are, and which file belongs to which frame.

A sequence is a folder with one label PNG per frame, `<stem>.png`; in ground truth for the baselines the
picture has the same stem, `<stem>.jpg`, and lies beside it or, as in DAVIS, in the folder of the same place below
`JPEGImages` instead of `Annotations`. The folder that `stma segment` writes is a sequence
too. Sequences may lie in folders of folders; their name is the path below the root.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stma.errors import DataError
from stma.labels import VOID
from stma.natural_order import natural_key
from stma_cli.frame_files import files_in, trailing_number
from stma_cli.masks.image_file import read_picture
from stma_cli.masks.label_image import read_labels
from stma_cli.result_layout import BATCH_FILE, NAMES_FILE, REPORT_FILE
from stma_cli.wording import shortened

_DEEPEST = 3  # folders below the root in which sequences are looked for
_PICTURE_SUFFIXES = (".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True)
class MaskSequence:
    """One clip.

    Attributes:
        name: path below the root with "/", or the folder's own name where the root is the sequence.
        folder: where the label PNGs are.
        labels: stem of the frame -> label PNG, in natural order.
    """

    name: str
    folder: Path
    labels: Mapping[str, Path]


def find_sequences(root: Path) -> list[MaskSequence]:
    """Return the sequences below `root`, or `root` itself when it holds label PNGs; in natural order.

    Raises:
        DataError: when the folder is missing or holds no label PNG.
    """
    if not root.is_dir():
        raise DataError(
            f"there is no folder {root}", "give the folder with one sub-folder of PNGs per sequence"
        )
    own = _sequence_at(root, root.resolve().name)
    sequences = [own] if own else list(_sequences_below(root, "", _DEEPEST))
    if not sequences:
        raise DataError(
            f"{root} holds no sequence",
            "give a folder with one sub-folder of label PNGs per sequence, or such a folder itself",
        )
    return sequences


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


def object_folders(path: Path) -> list[Path]:
    """Return the folders in `path` that hold PNGs, in natural order."""
    folders = [child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")]
    return sorted(
        (folder for folder in folders if files_in(folder, ".png")), key=lambda child: natural_key(child.name)
    )


def chosen_sequences(
    found: list[MaskSequence], wanted: Sequence[str], split: str, origin: Path
) -> list[MaskSequence]:
    """Return the sequences that are asked for by name or by a file of names, all of them where none is.

    Args:
        found: all below `origin`.
        wanted: names, text files with a name per line, or JSON files with lists of names.
        split: which list of a JSON file.
        origin: for messages.

    Raises:
        DataError: one is not there, or a file cannot be read.
    """
    if not wanted:
        return found
    names = [
        name
        for item in wanted
        for name in (read_split(Path(item), split) if item.endswith((".json", ".txt")) else [item])
    ]
    return select_sequences(found, names, origin)


def select_sequences(sequences: list[MaskSequence], names: Iterable[str], origin: Path) -> list[MaskSequence]:
    """Return the sequences called `names`, in that order, each once; a name may leave out leading folders.

    Raises:
        DataError: when a name fits no sequence, or several.
    """
    selected = {}
    for name in names:
        matches = [item for item in sequences if item.name == name]
        matches = matches or [item for item in sequences if item.name.endswith(f"/{name}")]
        if len(matches) != 1:
            found = "is not" if not matches else f"is {len(matches)} times"
            known = shortened((item.name for item in sequences), 8)
            raise DataError(f"the sequence {name!r} {found} in {origin}", f"choose among {known}")
        selected[matches[0].name] = matches[0]
    return list(selected.values())


def read_split(path: Path, split: str) -> list[str]:
    """Return the names of the sequences of one split.

    Args:
        path: JSON file with an object of lists, such as {"validation": ["davis/bear", "davis/camel"]}, or text
            with one name per line, such as DAVIS' ImageSets/2017/val.txt.
        split: which list of a JSON file.

    Raises:
        DataError: when the file cannot be read or has no such list of names.
    """
    if path.suffix.lower() == ".txt":
        return _lines_of(path)
    try:
        splits = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as JSON ({error})", "give a file with lists of names"
        ) from error
    names = splits.get(split) if isinstance(splits, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        known = ", ".join(splits) if isinstance(splits, dict) else "none"
        raise DataError(
            f"{path} has no list of names called {split!r}", f"choose one with --split (it has: {known})"
        )
    return names


def _lines_of(path: Path) -> list[str]:
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error})", "give a text file with one name per line"
        ) from error
    if not any(names):
        raise DataError(f"{path} has no names", "write one per line")
    return [name for name in names if name]


def predicted_sequence(root: Path, truth: MaskSequence, alone: bool) -> MaskSequence:
    """Return the predictions for one ground-truth sequence.

    Args:
        root: folder of the predictions.
        truth: the ground-truth sequence.
        alone: it is the only one, so that `root` itself may be its folder.

    Raises:
        DataError: when there is no folder for it, a frame after the first has no prediction, or all are one frame late.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", "check the path of the predictions")
    candidates = [root / truth.name, root / truth.name.rsplit("/", 1)[-1]]
    if alone:
        candidates.append(root)
    found = next(filter(None, (_sequence_at(folder, truth.name) for folder in candidates)), None)
    if found is None:
        raise DataError(
            f"there are no predictions for {truth.name}",
            f"put its label PNGs into {candidates[0]}, or leave the sequence out with --sequences",
        )
    missing = [stem for stem in list(truth.labels)[1:] if stem not in found.labels]
    if missing:
        raise DataError(
            f"{found.folder} lacks {len(missing)} of the {len(truth.labels)} frames of {truth.name}, "
            f"first {missing[0]}.png",
            "write one label PNG per frame, named like the ground truth",
        )
    first, last = next(iter(truth.labels)), list(found.labels)[-1]
    if first not in found.labels and len(found.labels) == len(truth.labels) and _follows(last, truth):
        raise DataError(
            f"{found.folder} has no {first}.png but {last}.png, past the last frame of {truth.name}: its masks seem "
            "to be numbered from 1 and would be scored one frame late",
            f"name them like the ground truth, or if they are right, take {last}.png away",
        )
    return found


def _follows(stem: str, truth: MaskSequence) -> bool:
    """Whether a frame of this name would be the next after the last of a sequence."""
    number, last = trailing_number(stem), trailing_number(list(truth.labels)[-1])
    return number is not None and last is not None and number == last + 1


def pictures_of(sequence: MaskSequence) -> list[Path]:
    """Return the picture of each label PNG.

    Raises:
        DataError: when a frame has no picture.
    """
    folders = [sequence.folder, *_davis_pictures(sequence.folder)]
    pictures = []
    for label in sequence.labels.values():
        places = (folder / f"{label.stem}{suffix}" for folder in folders for suffix in _PICTURE_SUFFIXES)
        picture = next((path for path in places if path.is_file()), None)
        if picture is None:
            raise DataError(
                f"{label} has no picture beside it",
                f"the baselines need {label.stem}.jpg in the same folder, or "
                "in JPEGImages beside Annotations",
            )
        pictures.append(picture)
    return pictures


def _davis_pictures(labels: Path) -> list[Path]:
    """Return where DAVIS has the pictures of a folder of labels: Annotations/480p/bear, JPEGImages/480p/bear."""
    absolute = labels.absolute()
    above = next((folder for folder in absolute.parents if folder.name == "Annotations"), None)
    return [above.with_name("JPEGImages") / absolute.relative_to(above)] if above else []


def read_sequence_labels(sequence: MaskSequence) -> Iterator[tuple[str, np.ndarray]]:
    """Yield stem and (H, W) label map of every frame, one at a time.

    Ids are taken as they are, but for 255 in 8-bit files, which DAVIS uses in two ways. Where the first
    frame with an object holds no other id, the masks are black and white and 255 becomes object 1; elsewhere
    it marks pixels that belong to nobody and becomes 0.

    Raises:
        MaskError: when a file cannot be read or is a colour picture.
    """
    black_and_white: bool | None = None
    for stem, path in sequence.labels.items():
        labels = read_labels(path)
        if black_and_white is None and labels.any():
            black_and_white = bool(np.all((labels == 0) | (labels == VOID)))
        if labels.dtype == np.uint8:
            labels = np.where(labels == VOID, np.uint8(bool(black_and_white)), labels)
        yield stem, labels


def _sequence_at(folder: Path, name: str) -> MaskSequence | None:
    """Return the sequence whose label PNGs lie in `folder`, if there are any."""
    if not folder.is_dir():
        return None
    files = files_in(folder, ".png")
    if not files:
        return None
    return MaskSequence(name, folder, {path.stem: path for path in files})


def _sequences_below(folder: Path, prefix: str, depth: int) -> Iterator[MaskSequence]:
    children = [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")]
    for child in sorted(children, key=lambda path: natural_key(path.name)):
        name = prefix + child.name
        sequence = _sequence_at(child, name)
        if sequence:
            yield sequence
        elif depth > 1:
            yield from _sequences_below(child, f"{name}/", depth - 1)
