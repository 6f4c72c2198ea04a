"""What moves in a rendered clip: people after motion capture, animals of ellipsoids, shapes that fly and shapes that roll.

Each actor is made of pybullet bodies; `step(time)` puts them where they are at a time of 0..1 of the clip.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pybullet as p

from meshes import COLLECTION, SPHERE

FRAME_RATE = 25
JOINTS = (  # of the motion files, in their order, with the numbers that each has
    ("chest", 4),
    ("neck", 4),
    ("right_hip", 4),
    ("right_knee", 1),
    ("right_ankle", 4),
    ("right_shoulder", 4),
    ("right_elbow", 1),
    ("left_hip", 4),
    ("left_knee", 1),
    ("left_ankle", 4),
    ("left_shoulder", 4),
    ("left_elbow", 1),
)
CLOTHES = {"root": 0, "chest": 0, "shoulder": 0, "neck": 1, "wrist": 1, "hip": 2, "knee": 2, "ankle": 3, "elbow": 1}
MOTIONS = sorted((COLLECTION / "data" / "motions").glob("humanoid3d_*.txt"))


@dataclass
class Actor:
    """Bodies that belong together, and what moves them; physics alone moves what has no `step`."""

    bodies: list[int]
    step: Callable[[float], None] = field(default=lambda time: None)


@dataclass
class Stage:
    """Where bodies are made.

    Attributes:
        rng: draws everything.
        folder: for scaled meshes, which the renderer tells apart by their names alone.
        meshes: what `meshes.make_meshes` wrote.
        frames: of the clip.
    """

    rng: np.random.Generator
    folder: Path
    meshes: Path
    frames: int
    made: int = 0

    def shape(self) -> Path:
        """Any mesh but the sphere."""
        every = sorted(path for path in self.meshes.glob("*.obj") if path.name != SPHERE)
        return every[self.rng.integers(len(every))]

    def body(
        self, mesh: Path, scale: Sequence[float], texture: int, place: Sequence[float] = (0, 0, 0), ball: float = 0
    ) -> int:
        """A textured body; `ball` is the radius of what collides and falls in its place, 0 for one that is moved."""
        path = self.folder / f"{self.made}.obj"
        self.made += 1
        path.write_text(_scaled(mesh.read_text("utf-8"), np.asarray(scale)), "utf-8")
        shine = [self.rng.uniform(0, 0.6)] * 3
        visual = p.createVisualShape(p.GEOM_MESH, fileName=str(path), rgbaColor=[1] * 4, specularColor=shine)
        collision = p.createCollisionShape(p.GEOM_SPHERE, radius=ball) if ball else -1
        made: int = p.createMultiBody(1.0 if ball else 0, collision, visual, place, self.turned())
        p.changeVisualShape(made, -1, textureUniqueId=texture)
        return made

    def turned(self) -> tuple[float, ...]:
        """Any direction."""
        angles: tuple[float, ...] = p.getQuaternionFromEuler(self.rng.uniform(0, 6.3, 3))
        return angles


def _scaled(text: str, scale: np.ndarray) -> str:
    lines = []
    for line in text.splitlines():
        kind, *numbers = line.split()
        if kind == "v":
            line = "v {:.5f} {:.5f} {:.5f}".format(*np.array(numbers, float) * scale)
        elif kind == "vn":
            normal = np.array(numbers, float) / scale
            line = "vn {:.4f} {:.4f} {:.4f}".format(*normal / (np.linalg.norm(normal) + 1e-9))
        lines.append(line)
    return "\n".join(lines) + "\n"


def flying(stage: Stage, size: float, texture: int, mesh: Path) -> Actor:
    """A shape that drifts, swings and turns."""
    rng = stage.rng
    body, height = stage.body(mesh, [size] * 3, texture), size + rng.uniform(0, 1)
    middle, velocity = np.array([*rng.uniform(-1.3, 1.3, 2), height]), rng.normal(size=3) * (1, 1, 0.3 * height)
    swing = np.array([*rng.uniform(0, 0.65, 2), height * rng.uniform(0, 0.5)])
    pace, phase = rng.uniform(2, 9, 3), rng.uniform(0, 6.3, 3)
    turn, first = rng.normal(size=3) * rng.choice([0.5, 2, 4]), rng.uniform(0, 6.3, 3)

    def step(time: float) -> None:
        place = middle + velocity * (time - 0.5) + swing * np.sin(pace * time + phase)
        place[2] = max(place[2], 0.1)
        p.resetBasePositionAndOrientation(body, place, p.getQuaternionFromEuler(first + turn * time))

    return Actor([body], step)


def rolling(stage: Stage, size: float, texture: int, mesh: Path) -> Actor:
    """A shape that is thrown, bounces and rolls as a ball does."""
    rng = stage.rng
    body = stage.body(
        mesh, [size] * 3, texture, [*rng.uniform(-1.2, 1.2, 2), rng.uniform(size, 2)], 0.8 * size
    )
    p.resetBaseVelocity(body, [*rng.normal(size=2) * 1.2, rng.normal()], rng.normal(size=3) * 4)
    p.changeDynamics(body, -1, restitution=rng.uniform(0.2, 0.8), rollingFriction=0.01)
    return Actor([body])


def person(stage: Stage, size: float, textures: Sequence[int], urdf: Path) -> Actor:
    """A puppet of capsules in clothes of four textures that walks, dances, fights or turns somersaults."""
    rng = stage.rng
    body = p.loadURDF(str(urdf), [0, 0, 3], globalScaling=0.25 * size, useFixedBase=True)
    joints = {p.getJointInfo(body, joint)[12].decode(): joint for joint in range(p.getNumJoints(body))}
    for name, joint in joints.items():
        part = next((worn for part, worn in CLOTHES.items() if part in name), 0)
        p.changeVisualShape(body, joint, textureUniqueId=textures[part], rgbaColor=[1] * 4)
    motion = json.loads(MOTIONS[rng.integers(len(MOTIONS))].read_text("utf-8"))
    frames, goes_on = np.array(motion["Frames"]), motion["Loop"] == "wrap"
    begin, speed = rng.uniform(0, len(frames)), rng.uniform(0.7, 1.4) / frames[0, 0]
    home, facing = np.array([*rng.uniform(-1.3, 1.3, 2), 0]), p.getQuaternionFromEuler([0, 0, rng.uniform(0, 6.3)])
    upright = p.getQuaternionFromEuler([np.pi / 2, 0, 0])
    level = np.array([1, 0, 1])  # the files have their second axis upward
    advance = (frames[-1, 1:4] - frames[0, 1:4]) * level

    def step(time: float) -> None:
        at = begin + time * stage.frames / FRAME_RATE * speed
        rounds, number = divmod(int(at), len(frames) - 1)
        share = at - int(at)
        if not goes_on and rounds % 2:  # to and fro
            number, share = len(frames) - 2 - number, 1 - share
        pose = frames[number] * (1 - share) + frames[number + 1] * share
        place = pose[1:4] - frames[0, 1:4] * level + (advance * rounds if goes_on else 0)
        root = p.multiplyTransforms((0, 0, 0), upright, tuple(place * size), _quaternion(pose[4:8]))
        root = p.multiplyTransforms(tuple(home), facing, *root)
        p.resetBasePositionAndOrientation(body, *root)
        first = 8
        for name, numbers in JOINTS:
            value = pose[first : first + numbers]
            p.resetJointStateMultiDof(body, joints[name], _quaternion(value) if numbers == 4 else value)
            first += numbers

    return Actor([body], step)


def _quaternion(values: np.ndarray) -> tuple[float, ...]:
    """From real part first to last, of unit length."""
    return tuple(np.roll(values, -1) / np.linalg.norm(values))


def animal(stage: Stage, size: float, textures: Sequence[int], kind: int) -> Actor:
    """Ellipsoids as body, neck, head, tail and four legs that trot; animals of one `kind` have the same shape."""
    rng, shaped = stage.rng, np.random.default_rng(kind)
    length, thick, leg = shaped.uniform(0.45, 0.8), shaped.uniform(0.18, 0.35), shaped.uniform(0.25, 0.6)
    thin, neck, head = shaped.uniform(0.05, 0.1), shaped.uniform(0.1, 0.5), shaped.uniform(0.12, 0.22)
    tail, swing = shaped.uniform(0.2, 0.6), shaped.uniform(0.2, 0.7)

    def part(scale: Sequence[float], texture: int) -> int:
        return stage.body(stage.meshes / SPHERE, np.array(scale) * size, textures[texture])

    torso, skull = part([length, 0.8 * thick, thick], 0), part([1.3 * head, 0.8 * head, head], 1)
    nape, rear = part([0.7 * neck, 0.6 * head, 0.6 * head], 0), part([0.5 * tail, 0.6 * thin, 0.6 * thin], 3)
    legs = [
        (part([thin, thin, 0.6 * leg], 2), part([0.7 * thin, 0.7 * thin, 0.6 * leg], 3), along, aside)
        for along in (0.75, -0.75)
        for aside in (0.5, -0.5)
    ]
    pace, phase, heading = rng.uniform(12, 44), rng.uniform(0, 6.3), rng.uniform(0, 6.3)
    turn, nod, speed = rng.normal() * 1.5, rng.normal() * 0.5, rng.uniform(0.3, 2.5)
    home = np.array([*rng.uniform(-1.2, 1.2, 2), 0])

    def step(time: float) -> None:
        way = heading + turn * time / 2
        place = home + speed * np.array([np.cos(way), np.sin(way), 0]) * (time - 0.5)
        place[2] = (2 * leg + 0.3 * thick + 0.03 * np.sin(2 * pace * time + phase)) * size
        sway = [0.05 * np.sin(pace * time), 0.06 * np.sin(pace * time + 1), heading + turn * time]
        root = tuple(place), p.getQuaternionFromEuler(sway)

        def put(body: int, at: Sequence[float], angles: Sequence[float]) -> None:
            placed = p.multiplyTransforms(*root, tuple(np.array(at) * size), p.getQuaternionFromEuler(angles))
            p.resetBasePositionAndOrientation(body, *placed)

        rise, look = 0.6 - 0.2 * np.sin(pace * time / 2 + phase), nod * np.sin(3 * time + phase)
        reach, lift = np.cos(rise), np.sin(rise)
        put(torso, [0, 0, 0], [0, 0, 0])
        put(nape, [0.85 * length + 0.5 * neck * reach, 0, 0.3 * thick + 0.5 * neck * lift], [0, -rise, 0])
        put(skull, [0.85 * length + neck * reach, head * look, 0.3 * thick + neck * lift], [0, 0.3 * look, look])
        for number, (upper, lower, along, aside) in enumerate(legs):
            beat = pace * time + phase + (0 if number in (0, 3) else np.pi)
            hip = swing * np.sin(beat)
            knee = hip + swing * max(0.0, -np.cos(beat))
            x, z = length * along, -0.4 * thick
            put(upper, [x - 0.5 * leg * np.sin(hip), aside * thick, z - 0.5 * leg * np.cos(hip)], [0, hip, 0])
            x, z = x - leg * np.sin(hip), z - leg * np.cos(hip)
            put(lower, [x - 0.5 * leg * np.sin(knee), aside * thick, z - 0.5 * leg * np.cos(knee)], [0, knee, 0])
        wag = 0.5 * np.sin(0.6 * pace * time + phase)
        put(rear, [-length - 0.4 * tail, 0.4 * tail * wag, 0.1], [0, 0.5, wag])

    return Actor([torso, skull, nape, rear, *(body for two in legs for body in two[:2])], step)
