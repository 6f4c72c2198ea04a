"""Reads annotation JSON, tells the formats apart, and refuses the others by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stma.errors import AnnotationError
from stma_cli.masks.annotation import Annotation, ObjectIds
from stma_cli.masks.coco import WantedPicture, read_coco
from stma_cli.masks.convertible import convert_first
from stma_cli.masks.labelme import read_labelme
from stma_cli.masks.sam import read_sam, sam_rows
from stma_cli.masks.schema import read_schema
from stma_cli.wording import has_wrong_field

LARGEST_FILE = 1 << 30  # bytes
SUPPORTED = (
    "export labelme JSON, COCO JSON (polygons or run-length masks), stma's own JSON, or an indexed PNG"
)


def read_json_annotation(
    path: Path, width: int, height: int, wanted: WantedPicture, object_ids: ObjectIds
) -> Annotation:
    """Read a polygon or run-length JSON for a video of `width` x `height` pixels.

    Args:
        path: the file.
        width: columns of the video, display orientation.
        height: its rows.
        wanted: the picture of a COCO file with several.
        object_ids: the ids given so far; new objects are added.

    Raises:
        AnnotationError: when the file is no JSON, of another format, or its shapes cannot be used.
        MaskError: when the size does not fit the video.
    """
    content, source = load_json(path), str(path)
    try:
        if isinstance(content, dict):
            if "stma" in content:
                return read_schema(content, source, width, height, object_ids)
            if "shapes" in content:
                return read_labelme(content, source, width, height, object_ids)
            if "annotations" in content and "images" in content:
                return read_coco(content, source, width, height, wanted, object_ids)
        masks = sam_rows(content)
        if masks is not None:
            return read_sam(masks, source, width, height, object_ids)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise AnnotationError(*has_wrong_field(path, error)) from error
    found = other_format(content) or "JSON of a format that stma does not know"
    fix = convert_first(path)
    raise AnnotationError(f"{path} is {found}", SUPPORTED if fix is None else f"{fix}, or {SUPPORTED}")


def load_json(path: Path) -> Any:
    """Read a JSON file of up to 1 GiB.

    Raises:
        AnnotationError: when it is missing, too large, not readable or no JSON.
    """
    if not path.is_file():
        raise AnnotationError(f"there is no annotation file {path}", "check the path")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise AnnotationError(f"{path} is larger than 1 GiB", "export only the annotated frame")
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read ({error.strerror})", "check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path} is not valid JSON ({error})", "export it again") from error


def other_format(content: Any) -> str | None:
    """Return the name of a format that --mask does not take; None where the content is of none that is known."""
    return next((name for name, fits in _OTHER_FORMATS if fits(content)), None)


def _keys(content: Any) -> set[str]:
    first = content[0] if isinstance(content, list) and content else content
    return set(first) if isinstance(first, dict) else set()


def _is_label_studio(content: Any) -> bool:
    if "data" in _keys(content):
        return True
    done = content[0].get("annotations") if isinstance(content, list) and _keys(content) else None
    return isinstance(done, list) and "result" in _keys(done)


def _is_via(content: Any) -> bool:
    first = next(iter(content.values()), None) if isinstance(content, dict) else None
    return {"filename", "regions"} <= _keys(first)


_OTHER_FORMATS: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("YouTube-VIS JSON", lambda content: {"videos", "annotations"} <= _keys(content)),
    ("a Label Studio export, whose run-length code is not COCO's", _is_label_studio),
    ("a VGG Image Annotator project", lambda content: "_via_img_metadata" in _keys(content)),
    ("VGG Image Annotator JSON", _is_via),
    ("a Supervisely annotation", lambda content: {"objects", "size"} <= _keys(content)),
    ("GeoJSON", lambda content: isinstance(content, dict) and content.get("type") == "FeatureCollection"),
    ("a COCO result list without its images", lambda content: "segmentation" in _keys(content)),
    ("a list of names only", lambda content: _keys(content) == {"objects"}),
)
