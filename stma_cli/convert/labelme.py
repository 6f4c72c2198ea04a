"""A folder of labelme JSON, one file per frame, with polygons."""

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

from stma.errors import AnnotationError
from stma.labels import ids_in
from stma_cli.convert.clip import Clip, LabelledFrame, Notes, Source, known_id
from stma_cli.convert.json_rows import require_lists
from stma_cli.convert.outlines import outlines
from stma_cli.masks.annotation import ObjectIds
from stma_cli.masks.json_file import load_json
from stma_cli.masks.labelme import labelme_files, read_labelme, shape_identity, stated_ids
from stma_cli.readable_json import write_json

_VERSION = "5.5.0"  # of labelme, whose fields are written


def open_labelme(path: Path) -> Source:
    """Open a folder of labelme JSON, or one file; each is a frame, named like the file.

    A label that is a whole number is the id. Shapes with the same label and group id are one object in all
    frames, and the group id is its id where that is free. Otherwise the first "dog" of every frame is one object.

    Raises:
        AnnotationError: when a file is no labelme JSON, has no size or a shape cannot be used.
    """
    files = labelme_files(path) if path.is_dir() else [path]
    if not files:
        raise AnnotationError(f"{path} has no JSON files", "give the folder that labelme saved into")
    object_ids, notes = ObjectIds(), Notes()
    size: tuple[int, int] | None = None
    groups: dict[Hashable, tuple[str, Any]] = {}
    for file in files:
        content = _content(file)
        size = size or _size(content, file)
        for object_id in stated_ids(content["shapes"]):
            object_ids.reserve(object_id)
        for shape in content["shapes"]:
            label, group = str(shape.get("label") or "").strip(), shape.get("group_id")
            if group is not None and label and not label.isdecimal():
                key, name = shape_identity(label, group, 1)
                groups.setdefault(key, (name, group))
    declared = {known_id(object_ids, key, name, group) for key, (name, group) in groups.items()}
    assert size is not None
    width, height = size

    def frames() -> Iterator[LabelledFrame]:
        for file in files:
            content = _content(file)
            if _size(content, file) != size:
                raise AnnotationError(
                    f"{file} is of another size than {files[0]}", "convert one size at a time"
                )
            annotation = read_labelme(content, str(file), width, height, object_ids)
            for note in annotation.notes:
                notes.add(note, file.stem)
            yield LabelledFrame(file.stem, annotation.labels)

    return Source(str(path), width, height, frames, object_ids, frozenset(declared), notes)


def write_labelme(folder: Path, clip: Clip, tolerance: float) -> None:
    """Write one file per frame: the name is the label, the id is the group id.

    An object in several parts is several polygons of one group; one with holes is cut into polygons without
    any. An object whose name is a whole number other than its id is labelled "object <name>".
    """
    labels = {
        object_id: f"object {name}" if name.isdecimal() and int(name) != object_id else name
        for object_id, name in clip.names.items()
    }
    for frame in clip.frames():
        shapes = [
            {
                "label": labels[object_id],
                "points": outline.tolist(),
                "group_id": object_id,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for object_id in ids_in(frame.labels)
            for outline in outlines(frame.labels == object_id, tolerance)
        ]
        content: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": clip.origin.picture_of(frame.name),
            "imageData": None,
            "imageHeight": clip.height,
            "imageWidth": clip.width,
        }
        write_json(folder / f"{frame.name}.json", content)


def _content(file: Path) -> dict[str, Any]:
    content = load_json(file)
    if isinstance(content, dict) and content.get("shapes") == []:
        return content
    require_lists(content, str(file), "shapes")
    return dict(content)


def _size(content: dict[str, Any], file: Path) -> tuple[int, int]:
    width, height = content.get("imageWidth"), content.get("imageHeight")
    if not isinstance(width, int) or not isinstance(height, int) or min(width, height) < 1:
        raise AnnotationError(f'{file} has no "imageWidth" and "imageHeight"', "save it again with labelme")
    return width, height
