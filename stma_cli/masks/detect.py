"""Which format a file or folder has."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError, iterparse

from stma.errors import AnnotationError, InputError
from stma_cli.frame_files import files_in
from stma_cli.mask_formats import Format
from stma_cli.masks.convertible import not_as_it_is
from stma_cli.masks.folder import PICTURE_SUFFIXES
from stma_cli.masks.json_file import load_json, other_format
from stma_cli.masks.labelme import labelme_files
from stma_cli.masks.sam import sam_rows
from stma_cli.masks.saved import find_masks
from stma_cli.masks.sequences import clip_folders, object_folders
from stma_cli.masks.yolo import CLIP_FILE, is_label_row, label_files

_NAME_IT = f"name it with --from ({', '.join(Format)})"


def detect(path: Path) -> Format:
    """Return the format of an existing file or folder, from its content.

    Raises:
        AnnotationError: when it is none that stma knows.
    """
    if path.is_dir():
        return _of_folder(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return Format.NPZ
    if suffix == ".xml":
        return _of_xml(path)
    if suffix == ".json":
        return _of_json(load_json(path), path)
    if suffix in PICTURE_SUFFIXES:
        raise AnnotationError(
            f"{path} is a picture, which may be the mask of one frame",
            "give the folder of all frames' masks, or give it as it is, as in stma segment VIDEO --mask FILE",
        )
    unknown = "has the ending of no format that stma reads", f"give a folder, or {_NAME_IT}"
    what, fix = not_as_it_is(path) or unknown
    raise AnnotationError(f"{path} {what}", fix)


def _of_folder(path: Path) -> Format:
    json_files = labelme_files(path)
    if json_files and _is_labelme(json_files[0]):
        return Format.LABELME
    texts = label_files(path)
    if texts and ((path / CLIP_FILE).is_file() or is_yolo(texts)):
        return Format.YOLO
    if files_in(path, ".png"):
        return Format.DAVIS
    folders = object_folders(path)
    if clip_folders(path):
        return Format.DAVIS
    if folders and [folder.name for folder in folders] != ["masks"]:
        return Format.BINARY
    try:
        find_masks(path)
    except InputError as error:
        raise AnnotationError(
            f"{path} holds no masks: no PNGs, no folders of PNGs, no labelme JSON and no YOLO labels",
            f"give the folder that holds them, or {_NAME_IT}",
        ) from error
    return Format.DAVIS


def _of_xml(path: Path) -> Format:
    """Return the format of the first track or image; the mode where there is neither."""
    by_mode = {"annotation": Format.CVAT_IMAGES, "interpolation": Format.CVAT_VIDEO}
    by_tag = {"image": Format.CVAT_IMAGES, "track": Format.CVAT_VIDEO}
    found: Format | None = None
    try:
        for event, element in iterparse(path, events=("start", "end")):
            if event == "start" and element.tag in by_tag:
                return by_tag[element.tag]
            if event == "end" and element.tag == "mode":
                found = by_mode.get((element.text or "").strip())
    except (OSError, ParseError, ValueError) as error:
        raise invalid_xml(path, error) from error
    if found is None:
        raise AnnotationError(
            f"{path} has no images and no tracks", "export 'CVAT for images 1.1' or 'for video'"
        )
    return found


def _of_json(content: Any, path: Path) -> Format:
    keys = set(content) if isinstance(content, dict) else set()
    if {"videos", "annotations"} <= keys and "images" not in keys:
        return Format.YOUTUBE_VIS
    if {"images", "annotations"} <= keys:
        return Format.COCO
    if "shapes" in keys:
        return Format.LABELME
    if sam_rows(content):
        raise AnnotationError(
            f"{path} holds SAM's masks of one picture",
            "give it as it is, as in stma segment VIDEO --mask FILE",
        )
    found = other_format(content)
    what = "JSON, but neither COCO nor YouTube-VIS nor labelme" if found is None else found
    fix = "export one of them" if found is None else "export COCO, YouTube-VIS or labelme JSON"
    raise AnnotationError(f"{path} is {what}", fix)


def _is_labelme(file: Path) -> bool:
    try:
        content = load_json(file)
    except AnnotationError:
        return False
    return isinstance(content, dict) and "shapes" in content


def is_yolo(files: list[Path]) -> bool:
    """Return whether the first file with a line in it begins with a row of labels."""
    for file in files:
        with file.open(encoding="utf-8-sig", errors="replace") as stream:
            line = stream.readline(1 << 20)
        if line.strip():
            return is_label_row(line)
    return False


def invalid_xml(path: Path, error: Exception) -> AnnotationError:
    """Return the error about a file that cannot be parsed."""
    return AnnotationError(f"{path} is not valid XML ({error})", "export it again from CVAT")
