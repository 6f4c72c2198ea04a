"""Masks that a program has saved with NumPy: one plane of ids, or one plane of 0 and 1 per object."""

from pathlib import Path

import numpy as np

from stma.errors import MaskError
from stma.labels import LARGEST_ID
from stma_cli.masks.annotation import Annotation, ObjectIds
from stma_cli.masks.convertible import convert_first
from stma_cli.masks.fit import fit_size
from stma_cli.masks.image_file import MaskPicture
from stma_cli.masks.label_image import annotation_of
from stma_cli.masks.planes import painted_planes
from stma_cli.wording import may_not_be_read

ARRAY_SUFFIXES = frozenset({".npy", ".npz"})
_NAMES = ("masks", "mask", "labels")  # of the array in an archive, the first that is there
_CLIP = "frames"  # an array of names in what `stma convert` writes
_SHAPES = "save (height, width) with ids, or (objects, height, width) with 0 and 1"


def read_array_annotation(
    path: Path, width: int, height: int, object_ids: ObjectIds, correction: bool = False
) -> Annotation:
    """Read an array for a video of `width` x `height` pixels.

    A plane of ids is read as a grey picture is. Of several planes of 0 and 1 (or any other value), (N, H, W) or
    (N, 1, H, W), each is an object, the first one object 1; the smaller ones lie on top.

    Raises:
        MaskError: when the file cannot be read, holds no masks of one frame, or they do not fit the video.
    """
    planes = _planes(path)
    rows, columns = planes.shape[-2:]
    fit = fit_size(columns, rows, width, height, str(path))
    lowest, largest = planes.min(), planes.max()
    if not 0 <= lowest <= largest <= LARGEST_ID:
        raise MaskError(
            f"{path} holds values from {lowest} to {largest}",
            f"save ids of 1 to {LARGEST_ID}, and 0 where nothing is marked or known",
        )
    if len(planes) == 1:
        return annotation_of(
            _as_picture(planes[0], int(largest)), path, width, height, object_ids, correction
        )
    marked = planes == largest if largest else planes != 0
    areas = np.count_nonzero(marked, axis=(1, 2)).tolist()
    if sum(areas) != np.count_nonzero(planes):
        raise MaskError(
            f"{path} holds {len(planes)} planes with several values each, as a clip of label maps does",
            convert_first(path) or f"for one frame, {_SHAPES}",
        )
    if _lie_on_one_another(marked, areas):
        fix = convert_first(path)
        raise MaskError(
            f"{path} holds {len(planes)} masks that lie on one another, as the alternatives that SAM gives for one "
            "object and the frames of a clip do",
            "save the one that fits, as in numpy.save('mask.npy', masks[scores.argmax()]), or where they are objects, "
            "one plane of ids"
            f"{f', or where they are frames, {fix}' if fix else ''}",
        )
    return painted_planes(areas, lambda index: np.asarray(marked[index]), fit, str(path), object_ids)


def _planes(path: Path) -> np.ndarray:
    """Return (N, H, W) integers or bools."""
    array = _load(path)
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    planes = array[None] if array.ndim == 2 else array
    if planes.ndim != 3 or planes.size == 0 or (array.ndim == 3 and array.shape[2] <= 4):
        raise MaskError(f"{path} holds an array of the shape {array.shape}", _SHAPES)
    if planes.dtype.kind == "f" and np.array_equal(planes, np.rint(planes)):
        planes = planes.astype(np.int64)
    if planes.dtype.kind not in "biu":
        raise MaskError(
            f"{path} holds numbers of the type {planes.dtype} that are no ids, as logits and scores are not",
            "save masks, as in numpy.save('mask.npy', logits > 0)",
        )
    return planes


def _load(path: Path) -> np.ndarray:
    if not path.is_file():
        raise MaskError(f"there is no mask file {path}", "check the path given with --mask")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded as archive:
            if _CLIP not in archive.files:
                name = next((name for name in _NAMES if name in archive.files), None)
                name = archive.files[0] if name is None and len(archive.files) == 1 else name
                if name is not None:
                    return np.asarray(archive[name])
    except PermissionError as error:
        raise MaskError(*may_not_be_read(path, error)) from error
    except Exception as error:  # damaged files raise anything, from BadZipFile to MemoryError
        raise MaskError(
            f"{path} cannot be read ({error})", "save the masks with numpy.save, without objects"
        ) from error
    if _CLIP in archive.files:
        raise MaskError(f"{path} holds the masks of a clip", f"{convert_first(path)}")
    raise MaskError(
        f"{path} holds several arrays and none called 'masks'", "save the masks alone with numpy.save"
    )


def _as_picture(plane: np.ndarray, largest: int) -> MaskPicture:
    if plane.dtype == np.bool_ or largest == 1:
        return MaskPicture("bits", plane.astype(np.uint8))
    if largest <= 255:
        return MaskPicture("grey", plane.astype(np.uint8))
    return MaskPicture("wide", plane.astype(np.int32))


def _lie_on_one_another(marked: np.ndarray, areas: list[int]) -> bool:
    """Whether of three and more planes each covers half of the next, or is covered so."""
    pairs = range(1, len(marked))
    return len(marked) > 2 and all(
        2 * np.count_nonzero(marked[i - 1] & marked[i]) >= max(1, min(areas[i - 1], areas[i])) for i in pairs
    )
