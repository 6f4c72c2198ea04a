"""What a training folder holds: real clips, labelled stills and plain photographs.

Layout: `video/<dataset>/<sequence>/00000.jpg + 00000.png`, `still/<dataset>/name.jpg + name.png`,
`plain/<dataset>/name.jpg`, and `splits.json` whose "validation" sequences are never trained on.
"""

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from stma.errors import DataError
from stma.labels import VOID
from stma.natural_order import natural_key

UNION_DATASETS = ("clothing_ccp",)  # parts of one person: followed as a whole more often than piece by piece
REGION_DATASETS = ("bsds500_regions",)  # regions rather than things: moved in place, never cut out
STILL_WEIGHTS = {"tools_cam": 0.3, "cwfid_plants": 0.5, "grocery_iconic": 0.5, "bsds500_regions": 0.7}
# pixels that masks are too wide by: there, the strongest edges lie so far within
WIDE_OUTLINES = {"ytvos_opn": 4}
JPEG_END = b"\xff\xd9"
SPARSE_FRAMES = 8  # a sequence this short is sampled widely in time: every frame is a large step


@dataclass(frozen=True)
class LabelledImage:
    """An image and its label map on disk."""

    image: Path
    label: Path
    dataset: str


@dataclass(frozen=True)
class VideoSequence:
    """A real clip, every frame labelled."""

    name: str
    frames: tuple[LabelledImage, ...]

    @property
    def sparse(self) -> bool:
        return len(self.frames) <= SPARSE_FRAMES


@dataclass(frozen=True)
class TrainingPool:
    """Everything below a training folder; `validation` is kept apart."""

    sequences: tuple[VideoSequence, ...]
    validation: tuple[VideoSequence, ...]
    stills: tuple[LabelledImage, ...]
    plain: tuple[Path, ...]


def read_image(path: Path) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 RGB.

    Raises:
        DataError: it cannot be read, or not to its end.
    """
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if _is_whole(content) else None
    if image is None:
        raise DataError(
            f"{path} is not a readable image, or is cut short",
            "remove it or replace it by a JPEG or PNG file",
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _is_whole(content: bytes) -> bool:
    """Whether a picture is complete; OpenCV, which is faster than Pillow, fills what is missing with grey."""
    if content.endswith(JPEG_END):
        return True
    try:
        with Image.open(BytesIO(content)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True


def read_label(path: Path) -> np.ndarray:
    """Read an indexed or grey PNG as (H, W) uint8 object ids, 0 = background and what the file marks with `VOID`."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L", "1"):
                raise DataError(f"{path} has mode {image.mode}", "save label maps as indexed (palette) PNG")
            label = np.array(image, dtype=np.uint8)
    except (OSError, SyntaxError) as error:  # PIL takes some damage for a false syntax
        raise DataError(f"{path} is not a readable label map", "remove it or save it again as PNG") from error
    label[label == VOID] = 0
    return label


def true_label(pair: LabelledImage) -> np.ndarray:
    """As `read_label`, but without the margin that masks of some datasets have around their objects."""
    label, margin = read_label(pair.label), WIDE_OUTLINES.get(pair.dataset, 0)
    if not margin:
        return label
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1,) * 2)
    within = cv2.erode(label, around) == cv2.dilate(label, around)
    return np.where(within, label, 0).astype(np.uint8)


def matched(pair: LabelledImage, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image and label map as they were read from a pair.

    Raises:
        DataError: they differ in size.
    """
    if image.shape[:2] != label.shape:
        sizes = [f"{part.shape[1]} x {part.shape[0]}" for part in (label, image)]
        raise DataError(
            f"{pair.label} has {sizes[0]} pixels and {pair.image} {sizes[1]}", "save both at the same size"
        )
    return image, label


def read_pair(pair: LabelledImage) -> tuple[np.ndarray, np.ndarray]:
    """Read an image, (H, W, 3) uint8 RGB, and its label map, (H, W) uint8 object ids.

    Raises:
        DataError: either cannot be read, or they differ in size.
    """
    return matched(pair, read_image(pair.image), read_label(pair.label))


def _pairs(folder: Path, dataset: str) -> tuple[LabelledImage, ...]:
    return tuple(
        LabelledImage(image, image.with_suffix(".png"), dataset)
        for image in sorted(folder.glob("*.jpg"), key=lambda image: natural_key(image.name))
        if image.with_suffix(".png").is_file()
    )


def _validation_names(splits: Path) -> set[str]:
    try:
        names = json.loads(splits.read_text("utf-8-sig")).get("validation", [])
    except (ValueError, AttributeError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f'{splits} is not JSON of the form {{"validation": ["dataset/sequence"]}}', "mend it")
    return set(names)


def scan(root: Path) -> TrainingPool:
    """List a training folder.

    Raises:
        DataError: the folder is missing, holds nothing labelled, or its splits.json is not readable.
    """
    if not root.is_dir():
        raise DataError(
            f"training folder {root} does not exist", "give a folder with video/, still/ or plain/ in it"
        )
    splits = root / "splits.json"
    validation = _validation_names(splits) if splits.is_file() else set()
    every = []
    for folder in sorted((root / "video").glob("*/*")):
        frames = _pairs(folder, folder.parent.name)
        if len(frames) >= 2:
            every.append(VideoSequence(f"{folder.parent.name}/{folder.name}", frames))
    unknown = validation - {sequence.name for sequence in every}
    if unknown:
        raise DataError(
            f"{splits} names {', '.join(sorted(unknown))}, of which {root / 'video'} holds no two labelled frames",
            "correct the names, or add frames",
        )
    stills = tuple(
        pair for folder in sorted((root / "still").glob("*")) for pair in _pairs(folder, folder.name)
    )
    plain = tuple(sorted((root / "plain").glob("*/*.jpg")))
    pool = TrainingPool(
        tuple(sequence for sequence in every if sequence.name not in validation),
        tuple(sequence for sequence in every if sequence.name in validation),
        stills,
        plain,
    )
    if not every and not stills:
        raise DataError(
            f"{root} holds no labelled clip or still", "expected video/<dataset>/<sequence>/00000.jpg + .png"
        )
    return pool


def scan_to_train(root: Path) -> TrainingPool:
    """List a training folder that is to be learned from.

    Raises:
        DataError: as `scan`, or every sequence is kept apart for validation, and there is no still.
    """
    pool = scan(root)
    if not pool.sequences and not pool.stills:
        raise DataError(
            f'nothing of {root} is left to train on: all its sequences are named under "validation" in '
            "splits.json",
            "take some out of it, or add sequences or stills",
        )
    return pool
