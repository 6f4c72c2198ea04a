"""Rendered clips with exact labels for `stma train`: python docs/rendered/clips.py DATA OUT FIRST LAST

People after motion capture, animals, and shapes that fly or roll, up to six at once and often alike, in a hall of
photographs from the training folder DATA, before a camera that turns, follows and shakes. OUT/0000, OUT/0001, ... hold
36 frames of 640x360 each; put OUT into a training folder as `video/rendered`. A clip takes some ten seconds of one core.

Needs `pip install pybullet` (zlib licence; its puppet and motions with it) and EGL, which Mesa has for machines without
a graphics card: `apt install libegl1 libgl1-mesa-dri`.
"""

import re
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pybullet as p
from actors import FRAME_RATE, Actor, Stage, animal, flying, person, rolling
from meshes import COLLECTION, make_meshes
from PIL import Image

WIDTH, HEIGHT, FRAMES = 640, 360, 36
TWICE = 2  # rendered so much larger, against jagged edges
STEPS = 240 // FRAME_RATE  # of physics between two frames
SMALLEST = 0.003  # share of the first frame that the largest object covers at least
LEAST = 0.01  # mean share of all objects
PHOTOGRAPHS = (
    "plain/imagenet_sample",
    "plain/kodak",
    "plain/grocery_natural",
    "still/clothing_ccp",
    "still/feralcat",
    "still/bsds500_regions",
    "still/camvid_objects",
)
Camera = Callable[[float], tuple[list[float], list[float]]]


class Scene:
    """A hall with what stands and moves in it; `owners` tells the object of a body."""

    def __init__(self, stage: Stage, photographs: list[Path]) -> None:
        self.stage, self.rng, self.photographs = stage, stage.rng, photographs
        self.owners: dict[int, int] = {}
        self.actors: list[Actor] = []
        self._hall()
        self._objects()

    def texture(self, side: int | None = None) -> int:
        """Of a photograph: all of it, or a square of it as cloth, fur or paint have it."""
        rng = self.rng
        picture = cv2.imread(str(self.photographs[rng.integers(len(self.photographs))]))
        size = (1024, 512)
        if side is not None:
            shorter = int(min(picture.shape[:2]) * rng.uniform(0.15, 0.7))
            top, left = (rng.integers(0, extent - shorter + 1) for extent in picture.shape[:2])
            picture, size = picture[top : top + shorter, left : left + shorter], (side, side)
            if rng.random() < 0.5:  # of little contrast
                mean = picture.reshape(-1, 3).mean(0)
                picture = mean + (picture - mean) * rng.uniform(0.1, 0.5)
        if rng.random() < 0.4:
            picture = picture * rng.uniform(0.6, 1.4, size=3)
        path = self.stage.folder / f"{self.stage.made}.png"
        self.stage.made += 1
        cv2.imwrite(str(path), cv2.resize(np.clip(picture, 0, 255).astype(np.uint8), size))
        loaded: int = p.loadTexture(str(path))
        return loaded

    def _hall(self) -> None:
        rng, tiles = self.rng, self.rng.uniform(2.4, 15)
        floor = self.stage.folder / "floor.obj"
        floor.write_text(
            "v -30 -30 .1\nv 30 -30 .1\nv 30 30 .1\nv -30 30 .1\nvn 0 0 1\n"
            f"vt 0 0\nvt {tiles} 0\nvt {tiles} {tiles}\nvt 0 {tiles}\nf 1/1/1 2/2/1 3/3/1\nf 1/1/1 3/3/1 4/4/1\n",
            "utf-8",
        )
        visual = p.createVisualShape(p.GEOM_MESH, fileName=str(floor), rgbaColor=[1] * 4)
        collision = p.createCollisionShape(p.GEOM_BOX, halfExtents=[30, 30, 0.1])
        p.changeVisualShape(
            p.createMultiBody(0, collision, visual, [0, 0, -0.1]), -1, textureUniqueId=self.texture()
        )
        radius, first = rng.uniform(6, 14), rng.uniform(0, 6.3)
        half = radius * np.tan(np.pi / 6)
        for angle in first + np.arange(6) * np.pi / 3:
            visual = p.createVisualShape(
                p.GEOM_BOX, halfExtents=[0.05, 1.02 * half, 0.8 * half], rgbaColor=[1] * 4
            )
            place = [radius * np.cos(angle), radius * np.sin(angle), 0.8 * half]
            wall = p.createMultiBody(0, -1, visual, place, p.getQuaternionFromEuler([0, 0, angle]))
            p.changeVisualShape(wall, -1, textureUniqueId=self.texture())
        for _ in range(rng.integers(0, 9)):  # things that stand there
            angle, distance, size = rng.uniform(0, 6.3), rng.uniform(2, 0.9 * radius), rng.uniform(0.2, 1.2)
            place = [distance * np.cos(angle), distance * np.sin(angle), size * rng.uniform(0.3, 1)]
            self.stage.body(self.stage.shape(), [size] * 3, self.texture(256), place)
        for _ in range(rng.integers(0, 3)):  # and pass by, without a label
            self.actors.append(
                flying(self.stage, rng.uniform(0.15, 0.5), self.texture(256), self.stage.shape())
            )

    def _objects(self) -> None:
        rng, twins = self.rng, self.rng.random() < 0.4
        count = int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.2, 0.25, 0.22, 0.15, 0.1, 0.08]))
        for number in range(1, count + 1):
            if number == 1 or not twins or rng.random() > 0.7:  # else it looks like the one before
                kind = rng.choice(["person", "animal", "flying", "rolling"], p=[0.4, 0.25, 0.22, 0.13])
                textures, size = [self.texture(128) for _ in range(4)], rng.uniform(0.7, 1.2)
                shape, breed, slim = self.stage.shape(), int(rng.integers(1 << 30)), rng.random() < 0.3
                if kind == "animal" and rng.random() < 0.6:
                    textures[1:3] = textures[:1] * 2
            if kind == "person":
                actor = person(self.stage, 1.25 * size, textures, _puppet(self.stage, slim))
            elif kind == "animal":
                actor = animal(self.stage, size, textures, breed)
            elif kind == "flying":
                actor = flying(self.stage, 0.5 * size, textures[0], shape)
            else:
                actor = rolling(self.stage, 0.4 * size, textures[0], shape)
            self.actors.append(actor)
            self.owners.update(dict.fromkeys(actor.bodies, number))

    def camera(self) -> Camera:
        """One that circles, comes near, follows the first object now and then, and shakes."""
        rng = self.rng
        distance, nearer = rng.uniform(1.9, 4.5), rng.normal() * 0.5
        angle, turn = rng.uniform(0, 6.3), rng.normal() * rng.choice([0, 0.3, 1.0])
        height, rise = rng.uniform(0.4, 2.5), rng.normal() * 0.4
        middle, drift = np.array([*rng.normal(size=2) * 0.3, rng.uniform(0.4, 0.9)]), rng.normal(size=3) * (0.6, 0.6, 0.15)
        shake, field = rng.choice([0, 0.004, 0.015]), rng.uniform(32, 62)
        followed, seen = next(iter(self.owners)) if rng.random() < 0.4 else None, None

        def view(time: float) -> tuple[list[float], list[float]]:
            nonlocal seen
            target = middle + drift * (time - 0.5)
            if followed is not None:
                place = np.array(p.getBasePositionAndOrientation(followed)[0]) * (1, 1, 0.3) + (0, 0, 0.5)
                seen = place if seen is None else 0.8 * seen + 0.2 * place
                target = seen + 0.1 * drift
            away, at = distance * np.exp(nearer * (time - 0.5)), angle + turn * (time - 0.5)
            eye = [target[0] / 2 + away * np.cos(at), target[1] / 2 + away * np.sin(at)]
            eye.append(max(0.15, height + rise * (time - 0.5)))
            target = target + rng.normal(size=3) * shake
            return (
                p.computeViewMatrix(eye, target, [0, 0, 1]),
                p.computeProjectionMatrixFOV(field, WIDTH / HEIGHT, 0.05, 60),
            )

        return view


def _puppet(stage: Stage, slim: bool) -> Path:
    """The puppet of the collection, mostly with thicker limbs, which leave no gaps."""
    path = COLLECTION / "humanoid" / "humanoid.urdf"
    if slim:
        return path
    text = path.read_text("utf-8", "ignore")
    text = re.sub(r'(?<=" radius=")[\d.]+', lambda found: f"{1.45 * float(found[0]):.3f}", text)
    text = re.sub(r'(?<=sphere radius = ")[\d.]+', lambda found: f"{1.25 * float(found[0]):.3f}", text)
    thick = stage.folder / "thick.urdf"
    thick.write_text(text, "utf-8")
    return thick


def clip(number: int, photographs: list[Path], meshes: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(H, W, 3) uint8 RGB frames and (H, W) uint8 labels of one clip; the same for the same number."""
    rng = np.random.default_rng((17, number))
    with tempfile.TemporaryDirectory() as folder:
        p.connect(p.DIRECT)
        p.loadPlugin(find_spec("eglRenderer").origin, "_eglRendererPlugin")
        p.setGravity(0, 0, -9.8)
        scene = Scene(Stage(rng, Path(folder), meshes, FRAMES), photographs)
        made = _filmed(scene, rng)
        p.disconnect()
    return made


def _filmed(scene: Scene, rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    camera, frames, labels = scene.camera(), [], []
    light = {
        "lightDirection": [*rng.normal(size=2) * 3, rng.uniform(2, 6)],
        "lightAmbientCoeff": rng.uniform(0.35, 0.7),
        "lightDiffuseCoeff": rng.uniform(0.3, 0.6),
        "lightSpecularCoeff": 0.2,
    }
    exposures = 3 if rng.random() < 0.3 else 1  # of a frame, over half of its time: motion blur
    noise, soft, gamma = rng.choice([0, 0, 2, 5]), rng.uniform(0.3, 1.1), rng.uniform(0.8, 1.25)
    owners = np.zeros(1 << 12, np.uint8)
    owners[list(scene.owners)] = list(scene.owners.values())
    size = (TWICE * WIDTH, TWICE * HEIGHT)
    for frame in range(FRAMES):
        light_sum = np.zeros((size[1], size[0], 3), np.float32)
        for exposure in range(exposures):
            time = (frame + 0.5 * exposure / exposures) / FRAMES
            for actor in scene.actors:
                actor.step(time)
            view, projection = camera(time)
            _, _, picture, _, bodies = p.getCameraImage(
                *size, view, projection, shadow=1, renderer=p.ER_BULLET_HARDWARE_OPENGL, **light
            )
            light_sum += np.reshape(picture, (size[1], size[0], 4))[:, :, :3]
            if exposure == exposures // 2:
                seen = np.reshape(bodies, (size[1], size[0]))
                seen = np.where(seen < 0, 0, seen & 0xFFFFFF)
                labels.append(
                    cv2.resize(owners[seen], (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
                )
        for _ in range(STEPS):
            p.stepSimulation()
        shot = cv2.resize(light_sum / exposures, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        shot = 255 * (np.clip(cv2.GaussianBlur(shot, (0, 0), soft), 0, 255) / 255) ** gamma
        frames.append(np.clip(shot + rng.normal(size=shot.shape) * noise, 0, 255).astype(np.uint8))
    return frames, labels


def worth_it(labels: list[np.ndarray]) -> bool:
    """Whether there is enough to see of the objects, on the first frame and on all of them."""
    largest = np.bincount(labels[0].ravel(), minlength=2)[1:].max() / labels[0].size
    return bool(largest >= SMALLEST and np.mean([(label > 0).mean() for label in labels]) >= LEAST)


def write(folder: Path, frames: list[np.ndarray], labels: list[np.ndarray]) -> None:
    """As `stma train` reads a clip; under another name until it is complete."""
    partial = folder.with_suffix(".partial")
    partial.mkdir(parents=True, exist_ok=True)
    palette = np.random.default_rng(0).integers(40, 255, (256, 3))
    palette[0] = 0
    for number, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        Image.fromarray(frame).save(partial / f"{number:05d}.jpg", quality=88)
        image = Image.fromarray(label)
        image.putpalette(palette.astype(np.uint8).ravel().tolist())
        image.save(partial / f"{number:05d}.png")
    partial.rename(folder)


def main(data: Path, out: Path, first: int, last: int) -> None:
    photographs = sorted(path for name in PHOTOGRAPHS for path in (data / name).glob("*.jpg"))
    with tempfile.TemporaryDirectory() as meshes:
        make_meshes(Path(meshes))
        for number in range(first, last):
            folder = out / f"{number:04d}"
            if not folder.exists():
                frames, labels = clip(number, photographs, Path(meshes))
                if worth_it(labels):
                    write(folder, frames, labels)
                print(folder if folder.exists() else f"{folder}: too little to see")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
