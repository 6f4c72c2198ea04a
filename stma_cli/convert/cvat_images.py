"""CVAT for images 1.1: an `image` element per frame; read and written one at a time."""

from collections import Counter
from collections.abc import Hashable, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse
from xml.sax.saxutils import quoteattr

import numpy as np

from stma.errors import AnnotationError
from stma.labels import ids_in
from stma_cli.convert.clip import Clip, LabelledFrame, Notes, Source, frame_name, known_id, paint
from stma_cli.convert.cvat import (
    encode_rle,
    head,
    mask_element,
    shape_mask,
    shapes_with_area,
    stated_id,
    z_order,
)
from stma_cli.masks.annotation import ObjectIds, numbered
from stma_cli.masks.detect import invalid_xml


def open_cvat_images(path: Path) -> Source:
    """Open a file of CVAT for images; frames are in the order of the file.

    The attribute `track_id` is the id of a shape's object. Without it, shapes of one label and `group_id`
    are one object, and others are told apart by label and order: the first "dog" of every image is one object.

    Raises:
        AnnotationError: when it is no such file, an image has no size or a shape cannot be used.
    """
    source = str(path)
    object_ids, notes = ObjectIds(), Notes()
    declared: set[int] = set()
    size: tuple[int, int] | None = None
    for image in images_in(path):
        size = size or _size(image, source)
        for shape in image.iter():
            object_id = stated_id(shape)
            if object_id is not None:
                key = ("track", object_id)
                declared.add(known_id(object_ids, key, shape.get("label", "object"), object_id))
    if size is None:
        raise AnnotationError(f"{source} has no images", "export 'CVAT for images 1.1'")
    width, height = size

    def masks(image: Element, frame: str) -> Iterator[tuple[int, np.ndarray]]:
        counts: Counter[str] = Counter()
        for shape in sorted(shapes_with_area(image, notes, frame), key=z_order):
            label, group, track = shape.get("label", "object"), shape.get("group_id"), stated_id(shape)
            alone = track is None and not group
            counts[label] += alone
            name = numbered(label, counts[label]) if alone else label
            key: Hashable = ("untracked", name)
            if not alone:
                key = ("group", label, group) if track is None else ("track", track)
            mask = shape_mask(shape, width, height, f"{source}: a {shape.tag} of '{label}' in {frame}")
            yield object_ids.id_for(key, name), mask

    def frames() -> Iterator[LabelledFrame]:
        for image in images_in(path):
            frame = frame_name(image.get("name", image.get("id")))
            if _size(image, source) != size:
                raise AnnotationError(f"{source}: {frame} is of another size", "convert one size at a time")
            yield paint(width, height, masks(image, frame), object_ids, notes, frame)

    return Source(source, width, height, frames, object_ids, frozenset(declared), notes)


def write_cvat_images(path: Path, clip: Clip) -> None:
    """Write one image per frame and one `mask` per object on it; file names are those of the pictures."""
    with path.open("w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(head("annotation", len(clip.frame_names), clip.names.values()))
        for index, frame in enumerate(clip.frames()):
            name = quoteattr(clip.origin.picture_of(frame.name))
            stream.write(f'<image id="{index}" name={name} width="{clip.width}" height="{clip.height}">\n')
            for object_id in ids_in(frame.labels):
                runs = encode_rle(frame.labels == object_id)
                fields = {"label": clip.names[object_id], "source": "auto", "occluded": 0, **(runs or {})}
                stream.write(mask_element(object_id, {**fields, "z_order": 0}))
            stream.write("</image>\n")
        stream.write("</annotations>\n")


def images_in(path: Path) -> Iterator[Element]:
    """Yield the `image` elements of a file, of which one at a time is in memory.

    Raises:
        AnnotationError: when it is no XML.
    """
    try:
        events = iterparse(path, events=("start", "end"))
        _, root = next(events)
        for event, element in events:
            if event == "end" and element.tag == "image":
                yield element
                root.clear()
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read ({error.strerror})", "check its permissions") from error
    except (ParseError, StopIteration, ValueError) as error:
        raise invalid_xml(path, error) from error


def _size(image: Element, source: str) -> tuple[int, int]:
    width, height = image.get("width", ""), image.get("height", "")
    if not width.isdecimal() or not height.isdecimal() or not int(width) or not int(height):
        raise AnnotationError(f"{source}: image {image.get('name')} has no size", "export it again from CVAT")
    return int(width), int(height)
