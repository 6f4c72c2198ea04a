"""Synthetic clips and masks for tests, made with PyAV; the frame number can be read from the pixels."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from PIL import Image

NTSC = Fraction(30000, 1001)
RED = (200, 30, 40)
GREEN = (20, 180, 60)
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def picture(index: int, width: int = 160, height: int = 96) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB: left half red, right half green, a white mark in the top left corner.

    A row of grey blocks at the bottom spells the frame number in binary, lowest bit on the left.
    """
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2] = RED
    pixels[:, width // 2 :] = GREEN
    pixels[:16, :32] = 255
    for bit in range(8):
        pixels[-16:, 16 * bit : 16 * bit + 16] = 255 if index >> bit & 1 else 0
    return pixels


def read_number(pixels: np.ndarray) -> int:
    """Return the frame number that `picture` wrote; reads even sizes and odd ones padded at the end."""
    row = pixels[pixels.shape[0] - 9, :, 1]
    return sum(int(row[16 * bit + 8] > 128) << bit for bit in range(8))


def make_clip(
    path: Path,
    count: int = 12,
    *,
    width: int = 160,
    height: int = 96,
    rate: Fraction = NTSC,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    matrix: int = 1,
    full_range: bool = False,
    tagged: bool = True,
    rotation: int | None = None,
    audio: str | None = None,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a clip of `picture` frames.

    Args:
        times: timestamps in ticks of `time_base`; a constant rate otherwise.
        matrix: H.273 code of the YUV matrix; written as a tag where `tagged`.
        rotation: degrees counterclockwise for the display matrix.
        audio: encoder of a 440 Hz tone as long as the pictures.
    """
    unit = time_base or 1 / rate
    with av.open(str(path), "w") as container:
        chosen = options if options is not None else {"preset": "ultrafast", "crf": "10"}
        track = container.add_stream(
            codec, rate=rate, width=width, height=height, time_base=unit, options=chosen
        )
        track.pix_fmt = pixel_format
        if tagged:
            track.codec_context.colorspace = matrix
            track.codec_context.color_range = 2 if full_range else 1
            track.codec_context.color_primaries = track.codec_context.color_trc = 1
        if aspect:
            track.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            track.set_display_rotation(rotation)
        sound = container.add_stream(audio, rate=44100) if audio else None
        if sound:
            sound.codec_context.layout = "stereo"
        reformatter = VideoReformatter()
        for index in range(count):
            rgb = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
            frame = reformatter.reformat(
                rgb,
                format=pixel_format,
                src_color_range=2,
                dst_colorspace=5 if matrix in (5, 6) else matrix,
                dst_color_range=2 if full_range else 1,
                interpolation=_EXACT,
            )
            if not tagged:
                frame.colorspace = frame.color_primaries = frame.color_trc = 2
                frame.color_range = 0
            frame.pts = times[index] if times else index
            frame.time_base = unit
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
        if sound:
            seconds = count / rate if times is None else (times[-1] + 1) * unit
            _add_tone(container, sound, float(seconds))
    return path


def _add_tone(container: av.container.OutputContainer, sound: av.AudioStream, seconds: float) -> None:
    tone = (np.sin(np.arange(int(44100 * seconds)) * 2 * np.pi * 440 / 44100) * 8000).astype(np.int16)
    for start in range(0, len(tone), 1024):
        samples = np.repeat(tone[start : start + 1024], 2)[None]  # interleaved stereo
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
        container.mux(sound.encode(frame))
    container.mux(sound.encode(None))


def make_folder(folder: Path, names: Sequence[str], width: int = 160, height: int = 96) -> Path:
    """Write one image per name, numbered in the order of `names`."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        Image.fromarray(picture(index, width, height)).save(folder / name)
    return folder


def make_masks(folder: Path, count: int, width: int = 160, height: int = 96, first: int = 0) -> Path:
    """Write label PNGs with a square of object 1 that moves to the right."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        labels = np.zeros((height, width), dtype=np.uint8)
        left = 20 + 4 * index
        labels[30:60, left : left + 30] = 1
        image = Image.fromarray(labels, mode="P")
        image.putpalette([0, 0, 0, 128, 0, 0] + [0] * 762)
        image.save(folder / f"{index:05d}.png")
    return folder


def decoded(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """Return time and RGB of all frames with PyAV alone, as a player would see them, without rotation."""
    with av.open(str(path)) as container:
        return [
            (frame.pts * frame.time_base, frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]


def copy_track(
    source: av.container.InputContainer,
    target: av.container.OutputContainer,
    track: av.stream.Stream,
    lost: range = range(0),
) -> None:
    """Copy one track packet by packet, without those that are lost."""
    copy = target.add_stream_from_template(track)
    for number, packet in enumerate(source.demux(track)):
        if packet.size and number not in lost:
            packet.stream = copy
            target.mux(packet)


def audio_packets(path: Path) -> list[tuple[Fraction, Fraction, bytes]]:
    """Return start, duration and content of the sound packets."""
    with av.open(str(path)) as container:
        return [
            (packet.pts * packet.time_base, packet.duration * packet.time_base, bytes(packet))
            for packet in container.demux(audio=0)
            if packet.size
        ]
