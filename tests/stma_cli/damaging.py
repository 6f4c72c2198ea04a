"""Makes damaged and hostile files in the current folder."""

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from fakes import save_mask
from media import copy_track, make_clip, make_folder
from PIL import Image

WIDTH, HEIGHT, COUNT = 64, 48, 8
SQUARE = [[4, 4], [24, 4], [24, 24], [4, 24]]


def make_good_files() -> None:
    """Fill the current folder with the files that are in order."""
    make_clip(Path("clip.mp4"), COUNT, width=WIDTH, height=HEIGHT)
    make_folder(Path("frames"), [f"{number}.png" for number in range(4)], WIDTH, HEIGHT)
    save_mask("mask.png", 1, 2)
    Path("masks").mkdir()
    for number in range(COUNT):
        save_mask(f"masks/{number:05d}.png", 1, 2)
    write_json("shape.json", labelme(SQUARE))


def write_json(path: str, content: Any) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(content), "utf-8")


def labelme(points: Any, **fields: Any) -> dict[str, Any]:
    shape = {"label": "cat", "points": points, "shape_type": "polygon", "group_id": None, "flags": {}}
    return {"shapes": [{**shape, **fields}], "imageWidth": WIDTH, "imageHeight": HEIGHT, "imagePath": "0.png"}


def coco(
    segmentation: Any, file_name: str = "0.jpg", width: Any = WIDTH, height: Any = HEIGHT
) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": file_name, "width": width, "height": height}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation}],
    }


def youtube_vis(file_names: list[str], segmentations: list[Any]) -> dict[str, Any]:
    video = {"id": 1, "width": WIDTH, "height": HEIGHT, "file_names": file_names}
    row = {"id": 1, "video_id": 1, "category_id": 1, "segmentations": segmentations}
    return {"videos": [video], "annotations": [row], "categories": [{"id": 1, "name": "cat"}]}


def cvat(body: str, mode: str = "annotation", size: int = 1, head: str = "") -> str:
    return (
        f'<?xml version="1.0"?>{head}<annotations><version>1.1</version><meta><task><size>{size}</size>'
        f"<mode>{mode}</mode><original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>"
        f"</task></meta>{body}</annotations>"
    )


def cut(source: str, target: str, share: float) -> None:
    """Copy the beginning of a file."""
    data = Path(source).read_bytes()
    Path(target).write_bytes(data[: int(len(data) * share)])


def spoil(source: str, target: str, start: float, stop: float) -> None:
    """Copy a file with noise over a part of it."""
    data = bytearray(Path(source).read_bytes())
    first, last = int(len(data) * start), int(len(data) * stop)
    data[first:last] = np.random.default_rng(0).integers(0, 256, last - first, dtype=np.uint8).tobytes()
    Path(target).write_bytes(bytes(data))


def png(path: str, width: int, height: int, kind: int = 3, extra: bytes = b"") -> None:
    """Write a PNG that claims a size; its pixels are missing but for a few."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    colours = chunk(b"PLTE", bytes(768)) if kind == 3 else b""
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + head + extra + colours + pixels + chunk(b"IEND", b""))


def animated(path: str) -> None:
    pictures = [Image.fromarray(np.full((HEIGHT, WIDTH), value, np.uint8)) for value in (0, 90, 255)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)


def text_bomb(path: str) -> None:
    """A PNG with a compressed text of 64 MiB."""
    data = b"Comment\0\0" + zlib.compress(bytes(64 << 20))
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    png(path, WIDTH, HEIGHT, extra=chunk)


def npz(
    path: str, shape: tuple[int, ...] = (2, HEIGHT, WIDTH), data: bytes | None = None, **others: Any
) -> None:
    """Write an NPZ whose header claims `shape`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("labels.npy", "w") as member:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(member, header)
            member.write(np.ones(shape, np.uint8).tobytes() if data is None else data)
        for name, values in others.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(values), allow_pickle=True)


def sound_only(path: str) -> None:
    import av

    with av.open(path, "w") as container:
        track = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(track.encode(frame))
        container.mux(track.encode(None))


def index_first(path: str) -> None:
    """Write a video of 60 frames whose index comes before the pictures."""
    import av

    make_clip(Path("plain.mp4"), 60, width=WIDTH, height=HEIGHT)
    with (
        av.open("plain.mp4") as source,
        av.open(path, "w", options={"movflags": "faststart"}) as target,
    ):
        copy_track(source, target, source.streams.video[0])


def other_size(path: str) -> None:
    Image.fromarray(np.zeros((HEIGHT // 2, WIDTH, 3), np.uint8)).save(path)


def smooth(path: str) -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows - 24, columns - 32)
    Image.fromarray((np.clip((20 - distance) / 8, 0, 1) * 255).astype(np.uint8)).save(path)


def photograph(path: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def text(path: str, content: str | bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())
