"""YOLO segmentation labels: one text file per frame, a class and a normalised polygon per row.

YOLO knows classes and neither objects nor the size of the pictures. stma writes one class per object, and
`stma.json` with size, ids and names beside the labels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stma.errors import AnnotationError, SettingsError
from stma.labels import ids_in
from stma.saving import replacing
from stma_cli.convert.clip import Clip, LabelledFrame, Notes, Source, paint
from stma_cli.convert.outlines import outlines
from stma_cli.masks.annotation import ObjectIds
from stma_cli.masks.json_file import load_json
from stma_cli.masks.polygons import fill_polygon, is_simple, require_inside
from stma_cli.masks.yolo import CLASSES_FILE, CLIP_FILE, label_files, read_row
from stma_cli.readable_json import readable_json

_DECIMALS = 6


def open_yolo(path: Path, size: tuple[int, int] | None) -> Source:
    """Open a folder of labels; all rows of one class on a frame are one object.

    Names come from `stma.json`, or line by line from `classes.txt` in the folder or the one above, where an
    empty line is a class without a name; the id is the class + 1 where `stma.json` does not give one.

    Args:
        path: the folder.
        size: width and height in pixels; needed where there is no `stma.json`.

    Raises:
        AnnotationError: when a row cannot be used, or its class would get the id of another.
        SettingsError: when the size is not known.
    """
    files = label_files(path) if path.is_dir() else []
    if not files:
        raise AnnotationError(f"{path} has no label files", "give a folder with one .txt per frame")
    own = load_json(path / CLIP_FILE) if (path / CLIP_FILE).is_file() else {}
    try:
        objects = [(int(row["id"]), str(row["name"])) for row in own.get("objects", [])]
        width, height = size or (int(own["width"]), int(own["height"]))
    except KeyError as error:
        raise SettingsError(
            "YOLO labels do not say how large the pictures are", f"give --size for {path}, as in 1280x720"
        ) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise AnnotationError(
            f"{path / CLIP_FILE} is damaged ({error})", "remove it and give --size"
        ) from error
    object_ids, notes = ObjectIds(), Notes()
    if not objects:
        objects = [(number, name) for number, name in enumerate(_classes(path), start=1)]
        notes.add("YOLO labels have no objects: all that is of one class on a frame becomes one")
    for object_id, name in objects:
        object_ids.reserve(object_id, name)

    def frames() -> Iterator[LabelledFrame]:
        for file in files:
            masks: dict[int, np.ndarray] = {}
            for number, line in enumerate(_lines(file), start=1):
                if not line.strip():
                    continue
                what = f"{file}, line {number}"
                index, points = read_row(line, what)
                points *= (width, height)
                if not is_simple(points):  # tools join parts by bridges, which may cross
                    notes.add("polygons that cross themselves are filled by the even-odd rule", file.stem)
                require_inside(points, width, height, what)
                if index >= len(objects) and object_ids.knows(index + 1):
                    raise AnnotationError(
                        f"{what} is of class {index}, which {CLIP_FILE} does not list, and object {index + 1} is "
                        "another",
                        "add the class there, with an id of its own",
                    )
                object_id = objects[index][0] if index < len(objects) else index + 1
                mask = fill_polygon(points, width, height)
                masks[object_id] = mask | masks[object_id] if object_id in masks else mask
            yield paint(width, height, masks.items(), object_ids, notes, file.stem)

    declared = frozenset(object_id for object_id, name in objects if name)
    return Source(str(path), width, height, frames, object_ids, declared, notes)


def write_yolo(folder: Path, clip: Clip, tolerance: float) -> None:
    """Write one file per frame, empty where nothing is to be seen, `classes.txt` and `stma.json`."""
    class_of = {object_id: index for index, object_id in enumerate(clip.names)}
    scale = np.array([clip.width, clip.height])
    if "classes" in clip.frame_names:
        raise SettingsError("a frame is called 'classes', like YOLO's list of names", "choose another format")
    for frame in clip.frames():
        rows = []
        for object_id in ids_in(frame.labels):
            for outline in outlines(frame.labels == object_id, tolerance):
                numbers = (outline / scale).ravel()
                values = " ".join(f"{value:.{_DECIMALS}f}" for value in numbers)
                rows.append(f"{class_of[object_id]} {values}\n")
        with replacing(folder / f"{frame.name}.txt") as temporary:
            temporary.write_text("".join(rows), "utf-8")
    classes = "".join(" ".join(name.split()) + "\n" for name in clip.names.values())
    (folder / CLASSES_FILE).write_text(classes, "utf-8", "backslashreplace")
    objects = [{"id": object_id, "name": name} for object_id, name in clip.names.items()]
    content: dict[str, Any] = {"width": clip.width, "height": clip.height, "objects": objects}
    (folder / CLIP_FILE).write_text(readable_json(content, indent=2) + "\n", "utf-8")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{file} cannot be read ({error})", "give text files in UTF-8") from error


def _classes(path: Path) -> list[str]:
    for folder in (path, path.resolve().parent):
        if (folder / CLASSES_FILE).is_file():
            return [line.strip() for line in _lines(folder / CLASSES_FILE)]
    return []
