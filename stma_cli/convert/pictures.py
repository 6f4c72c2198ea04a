"""Folders of PNGs: DAVIS label maps, or one folder of black and white masks per object."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from stma.errors import MaskError
from stma.labels import VOID
from stma.natural_order import natural_key
from stma.palette import davis_palette
from stma.saving import replacing
from stma_cli.convert.clip import Clip, LabelledFrame, Notes, Source, paint, safe_name
from stma_cli.convert.origin import origin_of
from stma_cli.frame_files import files_in
from stma_cli.masks import MaskWriter, read_labels, read_names, write_names
from stma_cli.masks.annotation import ObjectIds
from stma_cli.masks.saved import find_masks
from stma_cli.masks.sequences import MaskSequence, object_folders, read_sequence_labels
from stma_cli.masks.writer import COMPRESSION


def open_davis(path: Path) -> Source:
    """Open a folder with one label PNG per frame, as `stma segment` and the DAVIS data set have it.

    In 8-bit files 255 is read as `read_sequence_labels` says, unless `names.json` names an object 255.

    Raises:
        MaskError: when there is no PNG or one cannot be read.
    """
    saved = find_masks(path)
    object_ids, declared = _named(saved.names)
    sequence = MaskSequence(path.name, saved.folder, {file.stem: file for file in saved.files})

    def frames() -> Iterator[LabelledFrame]:
        if VOID in saved.names:
            pairs: Iterator[tuple[str, np.ndarray]] = ((file.stem, read_labels(file)) for file in saved.files)
        else:
            pairs = read_sequence_labels(sequence)
        for name, labels in pairs:
            yield LabelledFrame(name, labels)

    height, width = read_labels(saved.files[0]).shape
    origin = origin_of(saved.folder)
    return Source(str(path), width, height, frames, object_ids, declared, origin=origin)


def write_davis(folder: Path, clip: Clip) -> None:
    """Write one indexed PNG per frame (16-bit grey when an id exceeds 255) and `names.json`."""
    writer = MaskWriter(folder, davis_palette(), clip.names)
    for frame in clip.frames():
        writer.write(frame.name, frame.labels)
    writer.write_names()


def open_binary(path: Path) -> Source:
    """Open a folder with one folder per object, each with black and white PNGs named like the frames.

    The folder's name is the object's name; a `names.json` in `path` gives ids and exact names. A frame that
    an object's folder lacks does not show it.

    Raises:
        MaskError: when there are no such folders, or a PNG has more than two values.
    """
    folders = object_folders(path) if path.is_dir() else []
    if not folders:
        raise MaskError(f"{path} has no folders with PNGs", "give a folder with one folder per object")
    given = read_names(path)
    object_ids, _ = _named(given)
    id_of_folder = {name: object_id for object_id, name in folder_names(given).items()}
    files: list[tuple[int, dict[str, Path]]] = []
    for folder in folders:
        object_id = id_of_folder.get(folder.name)
        if object_id is None:
            object_id = object_ids.id_for(("folder", folder.name), folder.name)
        files.append((object_id, {file.stem: file for file in files_in(folder, ".png")}))
    stems = sorted({stem for _, found in files for stem in found}, key=natural_key)
    height, width = read_labels(next(iter(files[0][1].values()))).shape
    notes = Notes()

    def frames() -> Iterator[LabelledFrame]:
        for stem in stems:
            shown = [(object_id, found[stem]) for object_id, found in files if stem in found]
            masks = [(object_id, _read_binary(file, width, height)) for object_id, file in shown]
            yield paint(width, height, masks, object_ids, notes, stem)

    declared = frozenset(object_id for object_id, _ in files)
    return Source(str(path), width, height, frames, object_ids, declared, notes)


def write_binary(folder: Path, clip: Clip) -> None:
    """Write a folder per object with an 8-bit PNG per frame, 0 and 255, and `names.json`."""
    folders = {object_id: folder / name for object_id, name in folder_names(clip.names).items()}
    for target in folders.values():
        target.mkdir()
    for frame in clip.frames():
        for object_id, target in folders.items():
            image = Image.fromarray(np.where(frame.labels == object_id, np.uint8(255), np.uint8(0)))
            with replacing(target / f"{frame.name}.png") as temporary:
                image.save(temporary, format="PNG", compress_type=COMPRESSION)
    write_names(folder, clip.names)


def folder_names(names: dict[int, str]) -> dict[int, str]:
    """Return a folder name per object: its name made safe, with the id where two would share one."""
    result: dict[int, str] = {}
    taken: set[str] = set()
    for object_id in sorted(names):
        name = safe_name(names[object_id], f"object {object_id}")
        while name.casefold() in taken:
            name = f"{name} ({object_id})"
        taken.add(name.casefold())
        result[object_id] = name
    return result


def _named(names: dict[int, str]) -> tuple[ObjectIds, frozenset[int]]:
    object_ids = ObjectIds()
    for object_id, name in names.items():
        object_ids.reserve(object_id, name)
    return object_ids, frozenset(names)


def _read_binary(file: Path, width: int, height: int) -> np.ndarray:
    values = read_labels(file)
    if values.shape != (height, width):
        raise MaskError(
            f"{file} is {values.shape[1]}x{values.shape[0]}, but the first is {width}x{height}",
            "give masks of one size",
        )
    mask = values > 0
    if mask.any() and values[mask].min() != values[mask].max():
        raise MaskError(
            f"{file} has more than two values, so it is a label map or has smoothed edges",
            "give black and white PNGs, or --from davis for label maps",
        )
    return np.asarray(mask)
