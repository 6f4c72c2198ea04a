"""Shapes for rendered clips: meshes of pybullet's collection and random blobs, as OBJ files with texture coordinates."""

from pathlib import Path

import numpy as np
import pybullet_data

COLLECTION = Path(pybullet_data.getDataPath())
NAMED = (
    "duck.obj",
    "teddy2_VHACD_CHs.obj",
    "bunny.obj",
    "torus/torus_textured.obj",
    "objects/mug.obj",
    "lego/lego.obj",
    "soccerball.obj",
    "toys/prism.obj",
    "toys/cylinder.obj",
    "toys/concave_box.obj",
    "toys/shape_sorter.obj",
    "laikago/chassis_vhacd_mod.obj",
)
RANDOM_SHAPES, BLOBS = 120, 120  # of the collection's thousand, and of our own
SPHERE = "sphere.obj"


def make_meshes(folder: Path, seed: int = 1) -> None:
    """Write all meshes into a folder: `n*.obj` named ones, `r*.obj` random ones, `b*.obj` blobs, and a sphere."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number, name in enumerate(NAMED):
        save(folder / f"n{number:03d}.obj", *load(COLLECTION / name), rng)
    for number in rng.choice(1000, RANDOM_SHAPES, replace=False):
        path = COLLECTION / "random_urdfs" / f"{number:03d}" / f"{number:03d}.obj"
        save(folder / f"r{number:03d}.obj", *load(path), rng)
    for number in range(BLOBS):
        save(folder / f"b{number:03d}.obj", *blob(rng), rng)
    save(folder / SPHERE, *icosphere(2), rng)


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) vertices and (F, 3) triangles of an OBJ file."""
    vertices, faces = [], []
    for line in path.read_text("utf-8", "ignore").splitlines():
        if line.startswith("v "):
            vertices.append([float(number) for number in line.split()[1:4]])
        elif line.startswith("f "):
            corners = [int(corner.split("/")[0]) for corner in line.split()[1:]]
            corners = [corner - 1 if corner > 0 else len(vertices) + corner for corner in corners]
            faces += [[corners[0], corners[k], corners[k + 1]] for k in range(1, len(corners) - 1)]
    return np.array(vertices), np.array(faces)


def save(path: Path, vertices: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> None:
    """Write a mesh of radius 1 about its middle, with smooth normals, and texture from the side that a face looks to."""
    vertices = vertices - (vertices.max(0) + vertices.min(0)) / 2
    vertices = vertices / np.linalg.norm(vertices, axis=1).max()
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    corners = vertices[faces]  # (F, 3, 3)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], facing)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    sides = np.abs(facing @ turned).argmax(1)
    places = vertices @ turned * rng.choice([0.25, 0.25, 0.5, 0.75]) + 0.5
    with path.open("w", encoding="utf-8") as out:
        for vertex in vertices:
            out.write("v {:.5f} {:.5f} {:.5f}\n".format(*vertex))
        for normal in normals:
            out.write("vn {:.4f} {:.4f} {:.4f}\n".format(*normal))
        count = 0
        for face, side in zip(faces, sides, strict=True):
            across = [axis for axis in range(3) if axis != side]
            for vertex in face:
                out.write("vt {:.4f} {:.4f}\n".format(*places[vertex][across]))
            parts = [f"{vertex + 1}/{count + k}/{vertex + 1}" for k, vertex in enumerate(face, start=1)]
            out.write("f " + " ".join(parts) + "\n")
            count += 3


def icosphere(divisions: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a sphere."""
    g = (1 + 5**0.5) / 2
    points = [(-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0), (0, -1, g), (0, 1, g)]
    points += [(0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1)]
    vertices = [np.array(point) / np.linalg.norm(point) for point in points]
    faces = [(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2)]
    faces += [(10, 7, 6), (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5)]
    faces += [(2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1)]
    for _ in range(divisions):
        between: dict[tuple[int, int], int] = {}

        def middle(first: int, second: int) -> int:
            pair = (min(first, second), max(first, second))
            if pair not in between:
                total = vertices[first] + vertices[second]
                vertices.append(total / np.linalg.norm(total))
                between[pair] = len(vertices) - 1
            return between[pair]

        divided = []
        for a, b, c in faces:
            ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
            divided += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        faces = divided
    return np.array(vertices), np.array(faces)


def blob(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A sphere with bulges and dents, stretched."""
    vertices, faces = icosphere(3)
    radius = np.zeros(len(vertices))
    for _ in range(rng.integers(2, 8)):
        wave = rng.normal(size=3) * rng.uniform(1, 4)
        radius += rng.uniform(0.05, 0.25) * np.sin(vertices @ wave + rng.uniform(0, 6.3))
    power = rng.uniform(0.4, 1.6)
    if rng.random() < 0.4:
        vertices = np.sign(vertices) * np.abs(vertices) ** power
    return vertices * (1 + np.clip(radius, -0.7, 1))[:, None] * np.exp(rng.normal(size=3) * 0.35), faces
