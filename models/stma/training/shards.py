"""Training folders as tar shards below a size limit: for machines that data reaches in pieces.

Unpacking all shards into one folder gives a training folder again, so nothing else has to know of them.
"""

import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from stma.errors import DataError, OutputError, SettingsError
from stma.palette import davis_palette
from stma.resize import resize_frame, resize_labels, working_size
from stma.saving import writing
from stma.training.pool import LabelledImage, TrainingPool, read_image, read_pair

SHARDS = "shard-*.tar"
COUNTED = re.compile(r"shard-\d+-of-(\d+)\.tar")
END = bytes(2 * tarfile.BLOCKSIZE)  # of every archive
JPEG_QUALITY = 85  # about what the eye and the network cannot tell from the original at these sizes


def write_shards(root: Path, pool: TrainingPool, out: Path, side: int, limit: int) -> list[Path]:
    """Write a training folder as `shard-000-of-012.tar` and so on; after an error none of them is left.

    Args:
        root: the training folder that `pool` was scanned from.
        pool: what to write; `splits.json` goes along.
        out: folder for the shards.
        side: shorter side in pixels that larger images are scaled down to.
        limit: largest size of a shard in bytes.

    Raises:
        SettingsError: the limit is smaller than one image.
        DataError: an image cannot be read.
        OutputError: the folder holds shards already, or cannot be written.
    """
    if any(out.glob(SHARDS)):
        raise OutputError(f"{out} holds shards already", "give another folder, or remove them")
    parts: list[Path] = []
    try:
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
            _write_parts(_members(root, pool, side), out, limit, parts)
            for number, part in enumerate(parts):
                parts[number] = part.rename(out / f"shard-{number:03d}-of-{len(parts):03d}.tar")
    except BaseException:
        for part in parts:
            part.unlink(missing_ok=True)
        raise
    return parts


def _write_parts(members: Iterable[tuple[str, bytes]], out: Path, limit: int, parts: list[Path]) -> None:
    """Write archives under temporary names, which are added to `parts` as they are begun."""
    archive: tarfile.TarFile | None = None
    used = 0
    for name, content in members:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        # A name that is long or not ASCII takes headers of its own.
        size = len(member.tobuf()) + _padded(len(content), tarfile.BLOCKSIZE)
        if _closed(size) > limit:
            raise SettingsError(f"{name} alone is larger than a shard of {limit} bytes", "use a larger limit")
        if archive is None or _closed(used + size) > limit:
            if archive is not None:
                archive.close()
            parts.append(out / f".shard-{len(parts):03d}.tar.part")
            archive, used = tarfile.open(parts[-1], "w"), 0  # noqa: SIM115
        archive.addfile(member, io.BytesIO(content))
        used += size
    if archive is not None:
        archive.close()


def _closed(members: int) -> int:
    """Bytes of an archive whose members take so many."""
    return _padded(members + len(END), tarfile.RECORDSIZE)


def _padded(count: int, block: int) -> int:
    return -(-count // block) * block


def unpack_shards(folder: Path, root: Path) -> int:
    """Unpack all shards of a folder into a training folder; return their number.

    Raises:
        DataError: there is no shard, one is missing or damaged, or they come from several runs.
        OutputError: the training folder cannot be written.
    """
    shards = sorted(folder.glob(SHARDS))
    if not shards:
        raise DataError(f"{folder} holds no {SHARDS}", "give the folder that stma pack wrote")
    _require_all(folder, {shard.name for shard in shards})
    for shard in shards:
        try:
            with shard.open("rb") as file, writing(root):
                _require_end(file)
                with tarfile.open(fileobj=file) as archive:
                    archive.extractall(root, filter="data")
        except tarfile.TarError as error:
            raise DataError(f"{shard} is damaged ({error})", "copy or pack it again") from error
    return len(shards)


def _require_all(folder: Path, names: set[str]) -> None:
    """Compare names with the number of shards that they tell; those of earlier versions tell none."""
    count = max((int(told[1]) for name in names if (told := COUNTED.fullmatch(name))), default=None)
    if count is None:
        return
    expected = {f"shard-{number:03d}-of-{count:03d}.tar" for number in range(count)}
    foreign, missing = sorted(names - expected), sorted(expected - names)
    if foreign:
        raise DataError(
            f"{folder} holds shards of several runs, {foreign[0]} among them", "keep those of one"
        )
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)}", "copy all that stma pack wrote")


def _require_end(file: BinaryIO) -> None:
    """Refuse an archive that is cut off, which tarfile does not notice between two members."""
    file.seek(max(0, file.seek(0, SEEK_END) - len(END)))
    if file.read() != END:
        raise tarfile.ReadError("its end is missing")
    file.seek(0)


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
