"""Masks that a program has saved with NumPy: one plane of ids, or one plane of 0 and 1 per object."""

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from stma.errors import MaskError
from stma.labels import LARGEST_ID
from stma_cli.masks.annotation import Annotation, ObjectIds
from stma_cli.masks.convertible import convert_first
from stma_cli.masks.fit import fit_size
from stma_cli.masks.image_file import LARGEST_PICTURE, MaskPicture, require_size
from stma_cli.masks.label_image import annotation_of
from stma_cli.masks.planes import painted_planes
from stma_cli.wording import may_not_be_read

ARRAY_SUFFIXES = frozenset({".npy", ".npz"})
_NAMES = ("masks", "mask", "labels")  # of the array in an archive, the first that is there
_ZIP = b"PK"  # how an archive begins
_CLIP = "frames"  # an array of names in what `stma convert` writes
_MOST_BYTES = 5 * LARGEST_PICTURE  # of all planes together: 240 objects of a 1080p frame as true and false
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
    largest = planes.max()
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
    """Return (N, H, W) integers or bools, none outside of what ids may be."""
    array = _load(path)
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    planes = array[None] if array.ndim == 2 else array
    if planes.ndim != 3 or planes.size == 0 or (array.ndim == 3 and array.shape[2] <= 4):
        raise MaskError(f"{path} holds an array of the shape {array.shape}", _SHAPES)
    if planes.dtype.kind not in "biu" and not _are_whole(planes):
        raise MaskError(
            f"{path} holds numbers of the type {planes.dtype} that are no ids, as logits and scores are not",
            "save masks, as in numpy.save('mask.npy', logits > 0)",
        )
    lowest, largest = planes.min(), planes.max()
    if not 0 <= lowest <= largest <= LARGEST_ID:
        raise MaskError(
            f"{path} holds values from {lowest} to {largest}",
            f"save ids of 1 to {LARGEST_ID}, and 0 where nothing is marked or known",
        )
    return planes.astype(np.int32) if planes.dtype.kind == "f" else planes


def _are_whole(planes: np.ndarray) -> bool:
    return (
        planes.dtype.kind == "f"
        and bool(np.isfinite(planes).all())
        and np.array_equal(planes, np.rint(planes))
    )


def _load(path: Path) -> np.ndarray:
    if not path.is_file():
        raise MaskError(f"there is no mask file {path}", "check the path given with --mask")
    try:
        with path.open("rb") as stream:
            if stream.read(len(_ZIP)) != _ZIP:
                return _array(stream, path)
            with zipfile.ZipFile(stream) as archive:
                members = {name.removesuffix(".npy"): name for name in archive.namelist()}
                if _CLIP not in members:
                    given = [name for name in _NAMES if name in members]
                    if not given and len(members) == 1:
                        given = list(members)
                    if given:
                        with archive.open(members[given[0]]) as member:
                            return _array(member, path)
    except MaskError:
        raise
    except PermissionError as error:
        raise MaskError(*may_not_be_read(path, error)) from error
    except Exception as error:  # damaged files raise anything, from BadZipFile to MemoryError
        raise MaskError(
            f"{path} cannot be read ({error})", "save the masks with numpy.save, without objects"
        ) from error
    if _CLIP in members:
        raise MaskError(
            f"{path} holds the masks of a clip",
            convert_first(path) or "name it .npz, and run stma convert on it",
        )
    raise MaskError(
        f"{path} holds several arrays and none called 'masks'", "save the masks alone with numpy.save"
    )


def _array(stream: IO[bytes], path: Path) -> np.ndarray:
    """Read an array after a look at its header, as few bytes can unpack to more than there is memory."""
    stream.seek(0)
    shape, _, dtype = read_header(stream)
    require_size(1, math.prod(shape[-2:]), path)
    if math.prod(shape) * dtype.itemsize > _MOST_BYTES:
        frames = convert_first(path)
        raise MaskError(
            f"{path} holds an array of the shape {shape} and the type {dtype}, over {_MOST_BYTES // 1_000_000} MB",
            "save masks of the video's size in bool, or one plane of ids in uint16"
            f"{f', or where they are frames, {frames}' if frames else ''}",
        )
    stream.seek(0)
    return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether it is in Fortran order, and type of the array that a stream holds as NPY.

    Raises:
        ValueError: when it holds none.
    """
    if np.lib.format.read_magic(stream) == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    return np.lib.format.read_array_header_2_0(stream)


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
