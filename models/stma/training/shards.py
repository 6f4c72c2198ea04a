"""Training folders as tar shards below a size limit: for machines that data reaches in pieces.

Unpacking all shards into one folder gives a training folder again, so nothing else has to know of them.
"""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from stma.errors import DataError, SettingsError
from stma.palette import davis_palette
from stma.resize import resize_frame, resize_labels, working_size
from stma.training.pool import LabelledImage, TrainingPool, read_image, read_pair

JPEG_QUALITY = 85  # about what the eye and the network cannot tell from the original at these sizes


def write_shards(root: Path, pool: TrainingPool, out: Path, side: int, limit: int) -> list[Path]:
    """Write a training folder as `shard-000.tar`, `shard-001.tar`, ...

    Args:
        root: the training folder that `pool` was scanned from.
        pool: what to write; `splits.json` goes along.
        out: folder for the shards.
        side: shorter side in pixels that larger images are scaled down to.
        limit: largest size of a shard in bytes.

    Raises:
        SettingsError: the limit is smaller than one image.
        DataError: an image cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    shards: list[Path] = []
    archive: tarfile.TarFile | None = None
    used = 0
    for name, content in _members(root, pool, side):
        size = (len(content) + 511) // 512 * 512 + 512  # tar pads content and adds a header
        if size + 2048 > limit:
            raise SettingsError(f"{name} alone is larger than a shard of {limit} bytes; use a larger limit")
        if archive is None or used + size + 20480 > limit:  # the end of an archive is padded to 10240
            if archive is not None:
                archive.close()
            shards.append(out / f"shard-{len(shards):03d}.tar")
            archive, used = tarfile.open(shards[-1], "w"), 0  # noqa: SIM115
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
        used += size
    if archive is not None:
        archive.close()
    return shards


def unpack_shards(folder: Path, root: Path) -> int:
    """Unpack all shards of a folder into a training folder; return their number.

    Raises:
        DataError: there is no shard, or one is damaged.
    """
    shards = sorted(folder.glob("shard-*.tar"))
    if not shards:
        raise DataError(f"{folder} holds no shard-*.tar; give the folder that stma pack wrote")
    for shard in shards:
        try:
            with tarfile.open(shard) as archive:
                archive.extractall(root, filter="data")
        except tarfile.TarError as error:
            raise DataError(f"{shard} is damaged ({error}); copy or pack it again") from error
    return len(shards)


def _members(root: Path, pool: TrainingPool, side: int) -> Iterator[tuple[str, bytes]]:
    splits = root / "splits.json"
    if splits.is_file():
        yield "splits.json", splits.read_bytes()
    for sequence in (*pool.validation, *pool.sequences):
        for pair in sequence.frames:
            yield from _pair(root, pair, side)
    for still in pool.stills:
        yield from _pair(root, still, side)
    for path in pool.plain:
        yield path.relative_to(root).as_posix(), _jpeg(path, read_image(path), side)


def _pair(root: Path, pair: LabelledImage, side: int) -> Iterator[tuple[str, bytes]]:
    image, label = read_pair(pair)
    yield pair.image.relative_to(root).as_posix(), _jpeg(pair.image, image, side)
    label = resize_labels(label, *_size(label.shape[0], label.shape[1], side))
    indexed = Image.fromarray(label, mode="P")
    indexed.putpalette(davis_palette().tobytes())
    buffer = io.BytesIO()
    indexed.save(buffer, format="PNG")
    yield pair.label.relative_to(root).as_posix(), buffer.getvalue()


def _jpeg(path: Path, image: np.ndarray, side: int) -> bytes:
    if min(image.shape[:2]) <= side:
        return path.read_bytes()
    image = resize_frame(image, *_size(image.shape[0], image.shape[1], side))
    coded = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    return coded[1].tobytes()


def _size(height: int, width: int, side: int) -> tuple[int, int]:
    return working_size(height, width, min(side, height, width))
