"""YouTube-VIS JSON: videos, one annotation per object with a segmentation per frame, categories."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from stma.errors import AnnotationError, SettingsError
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
from stma_cli.convert.json_rows import require_known, require_lists, size_of
from stma_cli.convert.run_lengths import EncodedMask, categories, encode
from stma_cli.masks.annotation import ObjectIds
from stma_cli.masks.coco import category_names, segmentation_mask
from stma_cli.masks.fit import Fit
from stma_cli.readable_json import readable_json
from stma_cli.wording import shortened

_CLIPS_SHOWN = 5


def open_youtube_vis(path: Path, content: Any, clip: str | None) -> Source:
    """Open one video of parsed YouTube-VIS JSON.

    An annotation's `object_id`, which stma writes, or else its id is the object's where possible.

    Args:
        path: the file, for messages.
        content: the parsed JSON.
        clip: id or name (the folder in its file names) of the video; needed when there are several.

    Raises:
        AnnotationError: when a field is missing, an annotation is of no video or lists differ in length.
        SettingsError: when `clip` is needed or fits no video.
    """
    source = str(path)
    videos, rows = require_lists(content, source, "videos", "annotations")
    require_known(rows, videos, "video_id", source)
    video = _pick(videos, clip, source)
    width, height = size_of(video, f"{source}: video {_name(video)}")
    files = video.get("file_names")
    if not isinstance(files, list) or not files:
        raise AnnotationError(f'{source}: video {_name(video)} has no "file_names"', "export it with them")
    names = category_names(content)
    object_ids, notes = ObjectIds(), Notes()
    fit = Fit(width, height, width, height)
    tracks: list[tuple[int, Any, str]] = []
    for row in rows:
        if row.get("video_id") != video.get("id"):
            continue
        what = f"{source}: annotation {row.get('id')}"
        segmentations = row.get("segmentations")
        if not isinstance(segmentations, list) or len(segmentations) != len(files):
            raise AnnotationError(
                f"{what} does not have one segmentation for each of the {len(files)} frames",
                "give null where the object is not to be seen",
            )
        category = names.get(row.get("category_id"), "object")
        object_id = known_id(
            object_ids, ("annotation", len(tracks)), category, row.get("object_id", row.get("id"))
        )
        tracks.append((object_id, segmentations, what))

    def masks(index: int) -> Iterator[tuple[int, np.ndarray]]:
        for object_id, segmentations, what in tracks:
            if segmentations[index]:
                yield object_id, segmentation_mask(segmentations[index], fit, f"{what}, frame {index}")

    def frames() -> Iterator[LabelledFrame]:
        for index, file in enumerate(files):
            frame = frame_name(file)
            yield paint(width, height, masks(index), object_ids, notes, frame)

    declared = frozenset(object_id for object_id, _, _ in tracks)
    return Source(source, width, height, frames, object_ids, declared, notes)


def write_youtube_vis(path: Path, *clips: Clip) -> None:
    """Write a video per clip; of one clip the compressed run lengths are held in memory, as rows go by object.

    File names are "<clip>/<picture>", where a clip without a name is called like the target. An annotation's id
    is the object's id, above those of the clips before it; `object_id` is its id within the clip.
    """
    category_rows, category_of = categories(names_in_file(clips))
    head = {
        "info": {"description": "written by stma"},
        "licenses": [],
        "videos": [_video_row(number, clip, path) for number, clip in enumerate(clips, start=1)],
        "categories": category_rows,
    }
    with path.open("w", encoding="utf-8") as stream:
        stream.write(readable_json(head)[:-1])
        stream.write(', "annotations": [')
        before = "\n"
        for number, clip in enumerate(clips, start=1):
            for row in _annotation_rows(number, clip, category_of):
                stream.write(before + json.dumps(row))
                before = ",\n"
        stream.write("\n]}\n")


def _video_row(number: int, clip: Clip, path: Path) -> dict[str, Any]:
    folder = clip.origin.clip or path.name.strip(".").split(".")[0]
    return {
        "id": number,
        "width": clip.width,
        "height": clip.height,
        "length": len(clip.frame_names),
        "file_names": [f"{folder}/{clip.origin.picture_of(name)}" for name in clip.frame_names],
    }


def _annotation_rows(number: int, clip: Clip, category_of: dict[int, int]) -> Iterator[dict[str, Any]]:
    masks: dict[int, list[EncodedMask | None]] = {object_id: [] for object_id in clip.names}
    for frame in clip.frames():
        for object_id, found in masks.items():
            mask = encode(frame.labels, object_id)
            found.append(mask if mask.area else None)
    for object_id, found in masks.items():
        yield {
            "id": clip.id_offset + object_id,
            "object_id": object_id,
            "video_id": number,
            "category_id": category_of[clip.id_offset + object_id],
            "segmentations": [mask and mask.segmentation for mask in found],
            "bboxes": [mask and mask.box for mask in found],
            "areas": [mask and mask.area for mask in found],
            "iscrowd": 0,
            "width": clip.width,
            "height": clip.height,
            "length": len(found),
        }


def _name(video: dict[str, Any]) -> str:
    """Return the folder in a video's file names, its id where there is none."""
    return _folder(video).name or _id(video)


def _labels(video: dict[str, Any]) -> tuple[str, str, str]:
    """Return what a video may be called: its name, the folder of its pictures, its id."""
    return _name(video), str(_folder(video)), _id(video)


def _id(video: dict[str, Any]) -> str:
    return str(video.get("id"))


def _folder(video: dict[str, Any]) -> PurePosixPath:
    files = video.get("file_names") or [""]
    return folder_of(files[0])


def _pick(videos: list[dict[str, Any]], clip: str | None, source: str) -> dict[str, Any]:
    if clip is None and len(videos) == 1:
        return videos[0]
    found = [video for video in videos if clip in _labels(video)]
    if clip is not None and len(found) == 1:
        return found[0]
    counts = Counter(label for video in videos for label in set(_labels(video)))
    choices = (
        next((label for label in _labels(video) if counts[label] == 1), _id(video)) for video in videos
    )
    known = shortened(choices, _CLIPS_SHOWN)
    problem = f"has {len(videos)} videos" if clip is None else f"has not exactly one video {clip!r}"
    raise SettingsError(f"{source} {problem}", f"choose one with --clip ({known})")
