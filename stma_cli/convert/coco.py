"""COCO JSON of a whole clip: images, annotations with run lengths and track ids, categories."""

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stma.errors import AnnotationError
from stma.labels import ids_in
from stma.natural_order import natural_key
from stma_cli.convert.clip import (
    Clip,
    LabelledFrame,
    Notes,
    Source,
    folder_of,
    frame_name,
    known_id,
    names_in_file,
    paint,
)
from stma_cli.convert.json_rows import is_drawn, require_known, require_lists, size_of
from stma_cli.convert.run_lengths import categories, encode
from stma_cli.masks.annotation import ObjectIds, numbered
from stma_cli.masks.coco import category_names, segmentation_mask, track_of
from stma_cli.masks.fit import Fit
from stma_cli.readable_json import readable_json


def open_coco(path: Path, content: Any) -> Source:
    """Open parsed COCO JSON; the images are frames in the natural order of their file names.

    `track_id` (also inside `attributes`, as CVAT writes it) identifies an object over the frames and is its
    id where possible. Without it, the first "dog" of every image is one object, the second another.

    Raises:
        AnnotationError: when a field is missing, an annotation is of no image, the images differ in size or are of
            several clips.
    """
    source = str(path)
    images, annotations = require_lists(content, source, "images", "annotations")
    require_known(annotations, images, "image_id", source)
    images = sorted(images, key=lambda image: natural_key(str(image.get("file_name", ""))))
    _require_one_clip(images, source)
    sizes = {size_of(image, f"{source}: image {image.get('file_name')}") for image in images}
    if len(sizes) != 1:
        raise AnnotationError(
            f"{source} has images of {len(sizes)} sizes", "convert frames of one size at a time"
        )
    ((width, height),) = sizes
    fit = Fit(width, height, width, height)
    names = category_names(content)
    object_ids, notes = ObjectIds(), Notes()
    rows_of: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    declared: set[int] = set()
    for row in annotations:
        rows_of[row.get("image_id")].append(row)
        track = track_of(row)
        if track is not None:
            declared.add(known_id(object_ids, ("track", track), _category(row, names), track))

    def masks(image: dict[str, Any], frame: str) -> Iterator[tuple[int, np.ndarray]]:
        counts: Counter[str] = Counter()
        for row in rows_of[image.get("id")]:
            category, track = _category(row, names), track_of(row)
            counts[category] += track is None
            name = numbered(category, counts[category])
            key: Hashable = ("untracked", name) if track is None else ("track", track)
            object_id = object_ids.id_for(key, name)
            if is_drawn(row.get("segmentation"), notes, frame):
                what = f"{source}: annotation {row.get('id')} ('{category}')"
                yield object_id, segmentation_mask(row["segmentation"], fit, what)

    def frames() -> Iterator[LabelledFrame]:
        for image in images:
            frame = frame_name(image.get("file_name", image.get("id")))
            yield paint(width, height, masks(image, frame), object_ids, notes, frame)

    return Source(source, width, height, frames, object_ids, frozenset(declared), notes)


def write_coco(path: Path, *clips: Clip) -> None:
    """Write one image row per frame and one annotation per object on it, frame by frame.

    `track_id` is the object's id; a category is an object's name; file names are those of the pictures, in
    several clips below the name of the clip.
    """
    category_rows, category_of = categories(names_in_file(clips))
    images = [
        {
            "id": number,
            "file_name": (f"{clip.origin.clip}/" if len(clips) > 1 else "") + clip.origin.picture_of(name),
            "width": clip.width,
            "height": clip.height,
        }
        for number, (clip, name) in enumerate(
            ((clip, name) for clip in clips for name in clip.frame_names), start=1
        )
    ]
    head = {"info": {"description": "written by stma"}, "licenses": [], "categories": category_rows}
    with path.open("w", encoding="utf-8") as stream:
        stream.write(readable_json({**head, "images": images})[:-1])
        stream.write(', "annotations": [')
        count = 0
        frames = ((clip.id_offset, frame) for clip in clips for frame in clip.frames())
        for image_id, (id_offset, frame) in enumerate(frames, start=1):
            for object_id in ids_in(frame.labels):
                mask = encode(frame.labels, object_id)
                count += 1
                row = {
                    "id": count,
                    "image_id": image_id,
                    "category_id": category_of[id_offset + object_id],
                    "track_id": id_offset + object_id,
                    "segmentation": mask.segmentation,
                    "bbox": mask.box,
                    "area": mask.area,
                    "iscrowd": 0,
                }
                stream.write(("," if count > 1 else "") + "\n" + json.dumps(row))
        stream.write("\n]}\n")


def _require_one_clip(images: list[dict[str, Any]], source: str) -> None:
    """Refuse images whose file names differ in their folder alone."""
    files: dict[str, str] = {}
    for image in images:
        file = str(image.get("file_name", image.get("id")))
        frame = frame_name(file)
        other = files.setdefault(frame, file)
        if folder_of(other) != folder_of(file):
            raise AnnotationError(
                f"{source}: frame {frame} is there twice, as {other} and {file}, so the file holds several clips",
                "write one file per clip, or all into one with --to youtube-vis, from which --clip takes each",
            )


def _category(row: dict[str, Any], names: dict[Any, str]) -> str:
    return names.get(row.get("category_id"), "object")
