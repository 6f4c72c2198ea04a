"""NPZ: `labels` (T, H, W), `frames` (T,) names, `ids` (K,), `names` (K,); nothing pickled.

The frames are written to and read from the compressed archive one by one.
"""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from stma.errors import AnnotationError
from stma.labels import id_dtype
from stma_cli.convert.clip import Clip, LabelledFrame, Source, safe_name
from stma_cli.masks.annotation import ObjectIds
from stma_cli.masks.array_file import read_header

_MEMBER = "labels.npy"
_OTHERS = ("frames", "ids", "names")
_EXPORT = "save labels as a C-ordered integer array (frames, height, width) with numpy.savez"


def write_npz(path: Path, clip: Clip) -> None:
    """Write all label maps as one uint8 array, uint16 when an id exceeds 255."""
    dtype = np.dtype(id_dtype(max(clip.names, default=0)))
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (len(clip.frame_names), clip.height, clip.width),
    }
    small = {
        "frames": np.array(clip.frame_names),
        "ids": np.array(list(clip.names), dtype=np.int32),
        "names": np.array(list(clip.names.values()), dtype=np.str_),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(_MEMBER, "w", force_zip64=True) as member:
            np.lib.format.write_array_header_2_0(member, header)
            for frame in clip.frames():
                member.write(frame.labels.astype(dtype).tobytes())
        for name, values in small.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def open_npz(path: Path) -> Source:
    """Open an NPZ with `labels`, or with one array only; `frames`, `ids` and `names` may be left out.

    Raises:
        AnnotationError: when it is no such archive.
    """
    with _archive(path) as archive:
        members = archive.namelist()
        member = _MEMBER if _MEMBER in members else members[0] if len(members) == 1 else None
        if member is None:
            raise AnnotationError(f"{path} has no array 'labels'", _EXPORT)
        with archive.open(member) as stream:
            (count, height, width), _ = _header(stream, path)
        frames_given, ids, names = (_small(archive, name, path) for name in _OTHERS)
    if frames_given is not None and len(frames_given) != count:
        raise AnnotationError(
            f"{path} has {count} label maps but {len(frames_given)} names in 'frames'", _EXPORT
        )
    object_ids, declared = ObjectIds(), frozenset[int]()
    if ids is not None and names is not None:
        declared = frozenset(int(value) for value in ids)
        for value, name in zip(ids, names, strict=False):
            object_ids.reserve(int(value), str(name))

    def frames() -> Iterator[LabelledFrame]:
        with _archive(path) as archive, archive.open(member) as stream:
            _, dtype = _header(stream, path)
            size = height * width * dtype.itemsize
            for index in range(count):
                data = stream.read(size)
                if len(data) != size:
                    raise AnnotationError(f"{path} ends before frame {index}", _EXPORT)
                name = (
                    f"{index:05d}" if frames_given is None else safe_name(str(frames_given[index]), "frame")
                )
                labels = np.frombuffer(data, dtype).reshape(height, width)
                yield LabelledFrame(name, labels.astype(np.uint8 if dtype == np.bool_ else np.int64))

    return Source(str(path), width, height, frames, object_ids, declared)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise AnnotationError(f"{path} cannot be read as NPZ ({error})", _EXPORT) from error


def _header(stream: IO[bytes], path: Path) -> tuple[tuple[int, int, int], np.dtype]:
    try:
        shape, fortran_order, dtype = read_header(stream)
    except ValueError as error:
        raise AnnotationError(f"{path} holds no array ({error})", _EXPORT) from error
    if len(shape) != 3 or fortran_order or dtype.kind not in "biu":
        raise AnnotationError(f"{path} holds labels of shape {shape} and type {dtype}", _EXPORT)
    return shape, dtype


def _small(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray | None:
    """Return a one-dimensional array of the archive, None where it is missing."""
    if f"{name}.npy" not in archive.namelist():
        return None
    try:
        with archive.open(f"{name}.npy") as stream:
            values = np.lib.format.read_array(stream, allow_pickle=False)
    except ValueError as error:
        raise AnnotationError(f"{path} holds no usable '{name}' ({error})", _EXPORT) from error
    if values.ndim != 1:
        raise AnnotationError(f"{path} holds '{name}' of shape {values.shape}, not a list", _EXPORT)
    return np.asarray(values)
