"""One annotation file, whatever its format."""

from pathlib import Path

from stma.errors import MaskError
from stma_cli.masks.annotation import Annotation, ObjectIds
from stma_cli.masks.array_file import ARRAY_SUFFIXES, read_array_annotation
from stma_cli.masks.coco import WantedPicture
from stma_cli.masks.json_file import read_json_annotation
from stma_cli.masks.label_image import read_image_annotation
from stma_cli.masks.sam import is_sam_folder, read_sam_folder

FIRST = WantedPicture()
SAYS_NOTHING = "it marks nothing and is ignored"  # of a mask beside others
HOW_TO_ERASE = (
    "to erase objects on its frame, fill an indexed PNG with 255 (as predicted) and paint 0 over them"
)


def is_picture(path: Path) -> bool:
    """Whether an annotation is read as a picture, and not as JSON, an array or a folder of masks of one frame."""
    return path.suffix.lower() not in {".json", *ARRAY_SUFFIXES} and not is_sam_folder(path)


def mark_one(*files: Path) -> str:
    """Return what to do about annotation files without objects; in JSON nothing says what is background."""
    drawn = any(file.suffix.lower() != ".json" for file in files)
    return f"mark at least one object in it{' (black or index 0 is background)' if drawn else ''}"


def read_annotation(
    path: Path,
    width: int,
    height: int,
    *,
    wanted: WantedPicture = FIRST,
    object_ids: ObjectIds | None = None,
    allow_empty: bool = False,
    correction: bool = False,
) -> Annotation:
    """Read the objects marked on one frame.

    JSON is told by its ending `.json`, arrays of NumPy by `.npy` and `.npz`, a folder of masks by what SAM leaves
    in it; everything else is opened as a picture: an indexed PNG (ids = palette indices), a grey PNG of 8 or 16
    bits (ids = values), black and white (one object, id 1), or exact colours.

    Args:
        path: the file.
        width: columns of the video, display orientation.
        height: its rows.
        wanted: the picture of a COCO file with several.
        object_ids: the ids given so far in this run, which this call extends; a fresh set by default.
        allow_empty: return an annotation without objects in place of refusing it.
        correction: masks of other frames show objects, so that it may say "leave" and nothing else.

    Returns:
        The annotation at `width` x `height`.

    Raises:
        MaskError: when a mask picture cannot be used, is empty or does not fit the video.
        AnnotationError: when a JSON file cannot be used.
    """
    ids = object_ids if object_ids is not None else ObjectIds()
    if path.suffix.lower() == ".json":
        annotation = read_json_annotation(path, width, height, wanted, ids)
    elif path.suffix.lower() in ARRAY_SUFFIXES:
        annotation = read_array_annotation(path, width, height, ids, correction)
    elif is_sam_folder(path):
        annotation = read_sam_folder(path, width, height, ids)
    else:
        annotation = read_image_annotation(path, width, height, ids, correction)
    if not allow_empty and not annotation.object_ids:
        if annotation.others:
            raise MaskError(
                f"{path} marks nothing on {annotation.picture}, but on {annotation.others[0]}",
                "give the number of that frame before it, as in --mask 120:NAME=FILE",
            )
        raise MaskError(f"{path} is empty, all of it is background", mark_one(path))
    return annotation
