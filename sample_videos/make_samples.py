"""Builds the sample clips: cut-outs of public-domain photographs moving over textures, with sound.

For every clip this writes CLIP.mp4, CLIP.png (the mask of its first frame), CLIP.json (the same as polygons)
and ground_truth/CLIP/ (the masks of all frames). Needs scikit-image, whose wheel holds the photographs:

    python sample_videos/make_samples.py
"""

import json
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from cutouts import Cutout, load_cutout
from PIL import Image
from skimage import data

from stma.palette import davis_palette

FOLDER = Path(__file__).parent
SOUND_RATE = 48000


@dataclass(frozen=True)
class Actor:
    """One object and its way through the clip; pairs are the values at the first and the last frame."""

    name: str
    height: int  # pixels in the clip at scale 1
    x: tuple[float, float]  # of the centre, in pixels of the clip
    y: tuple[float, float]
    scale: tuple[float, float] = (1.0, 1.0)
    degrees: tuple[float, float] = (0.0, 0.0)  # counter-clockwise
    bounce: tuple[float, float] = (0.0, 1.0)  # height in pixels and number of the bounces


@dataclass(frozen=True)
class Clip:
    """One sample; actors are numbered from 1 and the later ones pass in front."""

    name: str
    width: int
    height: int
    frames: int
    frame_rate: Fraction
    texture: str
    tint: tuple[float, float, float]
    pan: tuple[float, float]  # pixels per frame that the background moves
    tones: tuple[float, ...]  # hertz
    actors: tuple[Actor, ...]


CLIPS = (
    Clip(
        "cat_and_cup",
        *(480, 270, 60, Fraction(25)),
        *("grass", (0.62, 0.95, 0.45), (0.5, 0.2), (440.0, 554.4)),
        actors=(
            Actor("cat", 190, (130, 345), (72, 66), (1.0, 0.95), (6, -8), (5, 2)),
            Actor("cup", 120, (400, 90), (205, 190), (0.85, 1.15), (-12, 18), (8, 1.5)),
        ),
    ),
    Clip(
        "astronaut",
        *(480, 270, 72, Fraction(30000, 1001)),
        *("gravel", (0.85, 0.80, 0.90), (-0.7, 0.0), (261.6, 392.0)),
        actors=(
            Actor("shuttle", 130, (60, 430), (120, 85), (0.8, 1.05), (-20, -50), (6, 1)),
            Actor("astronaut", 220, (320, 190), (182, 176), (0.92, 1.1), (3, -4), (4, 3)),
            Actor("gold coin", 62, (50, 400), (222, 215), (1.0, 1.25), (0, -400), (30, 2)),
        ),
    ),
    Clip(
        "coins",
        *(270, 480, 48, Fraction(24)),
        *("brick", (1.05, 0.72, 0.60), (0.0, 0.8), (523.3, 659.3)),
        actors=(
            Actor("copper coin", 84, (70, 190), (90, 330), (0.9, 1.1), (0, -120), (10, 1)),
            Actor("silver coin", 88, (200, 75), (150, 250), (1.1, 0.95), (0, 160), (10, 1.5)),
            Actor("gold coin", 92, (70, 215), (400, 150), (1.1, 0.9), (0, -200), (14, 1)),
        ),
    ),
)


def render(clip: Clip) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the (H, W, 3) uint8 RGB frames and the (H, W) uint8 label maps of a clip."""
    cutouts = [_shrunk(load_cutout(actor.name), actor) for actor in clip.actors]
    frames, masks = [], []
    for index in range(clip.frames):
        picture = _background(clip, index)
        labels = np.zeros((clip.height, clip.width), dtype=np.uint8)
        moment = index / (clip.frames - 1)
        for object_id, (actor, cutout) in enumerate(zip(clip.actors, cutouts, strict=True), start=1):
            pixels, opacity = _placed(cutout, actor, moment, clip)
            picture = pixels + picture * (1 - opacity[..., None])
            labels[opacity > 0.5] = object_id
        frames.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
        masks.append(labels)
    return frames, masks


def _background(clip: Clip, index: int) -> np.ndarray:
    grey = getattr(data, clip.texture)().astype(np.float32)
    soft = cv2.GaussianBlur(grey, (0, 0), 1.0)  # out of focus, and the file stays small
    soft = cv2.resize(soft, None, fx=1.25, fy=1.25, interpolation=cv2.INTER_LINEAR)  # room for the pan
    left = (soft.shape[1] - clip.width) / 2 + clip.pan[0] * (index - clip.frames / 2)
    top = (soft.shape[0] - clip.height) / 2 + clip.pan[1] * (index - clip.frames / 2)
    shift = np.array([[1, 0, left], [0, 1, top]], dtype=np.float32)
    view = cv2.warpAffine(
        soft,
        shift,
        (clip.width, clip.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.clip(view[..., None] * np.array(clip.tint, dtype=np.float32), 0, 255)


def _shrunk(cutout: Cutout, actor: Actor) -> Cutout:
    """Bring a cut-out to its largest size in the clip by area averaging, so that turning never aliases."""
    factor = actor.height * max(actor.scale) / cutout.pixels.shape[0]
    if factor >= 1:
        return cutout
    size = round(cutout.pixels.shape[1] * factor), round(cutout.pixels.shape[0] * factor)
    return Cutout(
        *(cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (cutout.pixels, cutout.opacity))
    )


def _placed(cutout: Cutout, actor: Actor, moment: float, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Return the actor's picture times its opacity, and its opacity, in the clip's frame."""

    def now(pair: tuple[float, float]) -> float:
        return pair[0] + (pair[1] - pair[0]) * moment

    height, width = cutout.opacity.shape
    bounce = actor.bounce[0] * abs(np.sin(np.pi * actor.bounce[1] * moment))
    centre = now(actor.x), now(actor.y) - bounce
    scale = actor.height * now(actor.scale) / height
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), now(actor.degrees), scale)
    matrix[:, 2] += (centre[0] - width / 2, centre[1] - height / 2)
    weighted = np.dstack([cutout.pixels * cutout.opacity[..., None], cutout.opacity]).astype(np.float32)
    placed = cv2.warpAffine(weighted, matrix, (clip.width, clip.height), flags=cv2.INTER_LINEAR)
    return placed[..., :3], placed[..., 3]


def write_video(path: Path, clip: Clip, frames: list[np.ndarray]) -> None:
    """Write H.264 with an AAC tone that lasts as long as the picture; no date goes into the file."""
    with av.open(str(path), "w", options={"movflags": "faststart", "fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=clip.frame_rate)
        video.width, video.height, video.pix_fmt = clip.width, clip.height, "yuv420p"
        video.options = {"crf": "24", "preset": "slow", "x264-params": "asm=0"}  # the same file every time
        video.codec_context.thread_count = 1
        video.codec_context.colorspace = av.video.reformatter.Colorspace.ITU601
        video.codec_context.color_range = av.video.reformatter.ColorRange.MPEG
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        sound.bit_rate = 64000
        for index, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG"
            )
            picture.pts, picture.time_base, picture.duration = index, 1 / clip.frame_rate, 1
            container.mux(video.encode(picture))
        container.mux(video.encode())
        samples = av.AudioFrame.from_ndarray(_tone(clip)[None], format="fltp", layout="mono")
        samples.sample_rate = SOUND_RATE
        fifo = av.AudioFifo()
        fifo.write(samples)
        for block in fifo.read_many(1024, partial=True):
            container.mux(sound.encode(block))
        container.mux(sound.encode())


def _tone(clip: Clip) -> np.ndarray:
    """Return a quiet chord as (samples,) float32, faded in and out."""
    count = round(clip.frames / clip.frame_rate * SOUND_RATE)
    seconds = np.arange(count) / SOUND_RATE
    chord = sum(np.sin(2 * np.pi * hertz * seconds) for hertz in clip.tones) / len(clip.tones)
    fade = np.minimum(1, np.minimum(seconds, seconds[::-1]) / 0.1)
    return (0.1 * chord * fade).astype(np.float32)


def save_mask(path: Path, labels: np.ndarray) -> None:
    """Write an indexed PNG with the DAVIS palette."""
    image = Image.fromarray(labels)
    image.putpalette(davis_palette().tobytes())
    image.save(path, optimize=True)


def polygons_of(labels: np.ndarray, clip: Clip) -> dict[str, object]:
    """Trace the objects of a label map; coordinates count from the corner of the top left pixel."""
    objects = []
    for object_id, actor in enumerate(clip.actors, start=1):
        fine = np.kron((labels == object_id).astype(np.uint8), np.ones((4, 4), dtype=np.uint8))
        outlines, tree = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        rings: dict[str, list[list[list[float]]]] = {"polygons": [], "holes": []}
        for outline, (_, _, _, parent) in zip(outlines, tree[0], strict=True):
            points = cv2.approxPolyDP(outline, 2.0, True)[:, 0] / 4 + 0.125
            if len(points) > 2:
                rings["polygons" if parent < 0 else "holes"].append(np.round(points, 1).tolist())
        objects.append({"id": object_id, "name": actor.name, **rings})
    return {"stma": 1, "width": clip.width, "height": clip.height, "objects": objects}


def build(clip: Clip, folder: Path) -> None:
    """Write all files of one clip into `folder`."""
    frames, masks = render(clip)
    write_video(folder / f"{clip.name}.mp4", clip, frames)
    save_mask(folder / f"{clip.name}.png", masks[0])
    document = json.dumps(polygons_of(masks[0], clip))
    (folder / f"{clip.name}.json").write_text(document + "\n", encoding="utf-8")
    truth = folder / "ground_truth" / clip.name
    truth.mkdir(parents=True, exist_ok=True)
    for index, labels in enumerate(masks):
        save_mask(truth / f"{index:05d}.png", labels)


def main() -> None:
    """Build all clips into the folder given, by default the one of this script."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for clip in CLIPS:
        build(clip, folder)
        print(f"{folder / clip.name}.mp4: {clip.width}x{clip.height}, {clip.frames} frames")


if __name__ == "__main__":
    main()
