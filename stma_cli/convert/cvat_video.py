"""CVAT for video 1.1: `track` elements with a shape per frame, in the order of the objects.

CVAT keeps masks as single shapes and no tracks of them: it exports each as a track of one frame, ended by an
"outside" shape, and takes only the first mask of a track when it imports one. stma writes the same.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, parse
from xml.sax.saxutils import quoteattr

import numpy as np

from stma.errors import AnnotationError
from stma.labels import ids_in
from stma_cli.convert.clip import Clip, LabelledFrame, Notes, Source, known_id, paint
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

_MOST_FRAMES = 10_000_000  # four days of video; a damaged number would otherwise never come to an end


@dataclass(frozen=True)
class _Shape:
    element: Element
    label: str
    key: Hashable | None  # None: a single shape, told by its label and order on the frame


def open_cvat_video(path: Path) -> Source:
    """Open a file of CVAT for video, which is held in memory; frames are named 00000, 00001, ...

    The attribute `track_id` is the id of a shape's object, else a track over several frames is an object,
    and single shapes are told apart by label and order on the frame.

    Raises:
        AnnotationError: when it is no such file, has no size or a shape cannot be used.
    """
    source = str(path)
    try:
        root = parse(path).getroot()
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read ({error.strerror})", "check its permissions") from error
    except (ParseError, ValueError) as error:
        raise invalid_xml(path, error) from error
    width, height = (_number(root, f".//original_size/{side}") for side in ("width", "height"))
    if not width or not height:
        raise AnnotationError(f"{source} has no <original_size>", "export 'CVAT for video 1.1'")
    object_ids, notes = ObjectIds(), Notes()
    shapes, declared = _by_frame(root, object_ids, notes, source)
    count = max(_number(root, ".//meta//size"), max(shapes, default=-1) + 1)
    if count > _MOST_FRAMES:
        raise AnnotationError(
            f"{source} has {count} frames", "correct its <size>, or export it in shorter parts"
        )

    def masks(frame: int) -> Iterator[tuple[int, np.ndarray]]:
        counts: Counter[str] = Counter()
        for shape in sorted(shapes[frame], key=lambda shape: z_order(shape.element)):
            counts[shape.label] += shape.key is None
            name = numbered(shape.label, counts[shape.label]) if shape.key is None else shape.label
            key = ("untracked", name) if shape.key is None else shape.key
            what = f"{source}: a {shape.element.tag} of '{shape.label}' on frame {frame}"
            yield object_ids.id_for(key, name), shape_mask(shape.element, width, height, what)

    def frames() -> Iterator[LabelledFrame]:
        for frame in range(count):
            name = f"{frame:05d}"
            yield paint(width, height, masks(frame) if frame in shapes else (), object_ids, notes, name)

    return Source(source, width, height, frames, object_ids, declared, notes)


def write_cvat_video(path: Path, clip: Clip) -> None:
    """Write every mask as a track of its own, frame by frame; frames are numbers, their names are lost."""
    count = len(clip.frame_names)
    if any(name != f"{index:05d}" for index, name in enumerate(clip.frame_names)):
        clip.notes.add("CVAT for video numbers its frames: their names are lost (cvat-images keeps them)")
    track = 0
    with path.open("w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(head("interpolation", count, clip.names.values(), (clip.width, clip.height)))
        for index, frame in enumerate(clip.frames()):
            for object_id in ids_in(frame.labels):
                runs = encode_rle(frame.labels == object_id) or {}
                label = quoteattr(clip.names[object_id])
                stream.write(f'<track id="{track}" label={label} source="auto">\n')
                for number, outside in ((index, 0), (index + 1, 1)):
                    if number < count:
                        fields = {"frame": number, "keyframe": 1, "outside": outside, "occluded": 0}
                        stream.write(mask_element(object_id, {**fields, **runs, "z_order": 0}))
                stream.write("</track>\n")
                track += 1
        stream.write("</annotations>\n")


def _by_frame(
    root: Element, object_ids: ObjectIds, notes: Notes, source: str
) -> tuple[dict[int, list[_Shape]], frozenset[int]]:
    """Return the visible shapes of every frame that has any, and the ids that the file states."""
    shapes: defaultdict[int, list[_Shape]] = defaultdict(list)
    declared: set[int] = set()
    for number, track in enumerate(root.iterfind("track")):
        label = track.get("label", "object")
        with_area = shapes_with_area(track, notes)
        visible = [shape for shape in with_area if shape.get("outside", "0") != "1"]
        for shape in visible:
            if not shape.get("frame", "").isdecimal():
                raise AnnotationError(
                    f"{source}: a shape of '{label}' has no frame", "export it again from CVAT"
                )
            object_id = stated_id(shape)
            key: Hashable | None = ("track of the file", number) if len(visible) > 1 else None
            if object_id is not None:
                key = ("track", object_id)
                declared.add(known_id(object_ids, key, label, object_id))
            shapes[int(shape.get("frame", ""))].append(_Shape(shape, label, key))
        if _has_gap(with_area):
            notes.add(
                "polygons are taken on the frames that the file lists, nothing is interpolated between them"
            )
    return shapes, frozenset(declared)


def _has_gap(shapes: list[Element]) -> bool:
    """Return whether a track skips frames while its object is to be seen."""
    pairs = pairwise(shapes)
    return any(
        before.get("outside") != "1" and int(after.get("frame", 0)) - int(before.get("frame", 0)) > 1
        for before, after in pairs
    )


def _number(root: Element, place: str) -> int:
    text = (root.findtext(place) or "").strip()
    return int(text) if text.isdecimal() else 0
