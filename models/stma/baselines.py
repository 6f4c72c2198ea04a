"""Training-free baselines: what following an object is worth before anything is learned.

copy      the annotation stays where it is
flow      it moves along dense optical flow (OpenCV DIS), from each frame to the next; where frames are less than 16
          pixels high or wide, it stays
grabcut   the same, and GrabCut redraws each object's boundary in a band on every frame
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, get_args

import cv2
import numpy as np

from stma.bounding import bounding_window
from stma.errors import SettingsError
from stma.labels import ids_in

Baseline = Literal["copy", "flow", "grabcut"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)

_SMALLEST = 16  # pixels of a side below which DIS crashes
_BAND = 0.02  # half width of the band that GrabCut decides, as a share of the image diagonal
_MARGIN = 0.05  # surroundings that GrabCut learns the background from, likewise
_ITERATIONS = 2  # more rounds let the colour models drift off the object
_MINIMUM_CORE = 16  # pixels of certain object below which GrabCut has no colours to learn from


def parse_baseline(text: str) -> Baseline:
    """Return the baseline of this name.

    Raises:
        SettingsError: there is none.
    """
    for name in BASELINES:
        if name == text:
            return name
    raise SettingsError(f"there is no baseline {text!r}", f"choose one of {', '.join(BASELINES)}")


def run_baseline(
    baseline: Baseline, frames: Iterable[np.ndarray], annotations: Mapping[int, np.ndarray]
) -> Iterator[np.ndarray]:
    """Follow the annotated objects through the frames; one label map per frame, one frame held at a time.

    Args:
        baseline: "copy", "flow" or "grabcut".
        frames: (H, W, 3) uint8 RGB pictures of one size, in order.
        annotations: (H, W) integer label maps keyed by the position of their frame; 0 leaves what is followed
            there as it is, so that objects may enter later.

    Yields:
        (H, W) label map of the annotations' dtype, the annotation's ids, 0 is background; all background
        before the first annotation.

    Raises:
        SettingsError: when the baseline is unknown, nothing is annotated, or sizes differ.
    """
    parse_baseline(baseline)
    if not any(np.any(annotation) for annotation in annotations.values()):
        raise SettingsError("no object is annotated", "give at least one label map with an id above 0")
    return _follow(baseline, frames, annotations)


def _follow(
    baseline: Baseline, frames: Iterable[np.ndarray], annotations: Mapping[int, np.ndarray]
) -> Iterator[np.ndarray]:
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dtype = np.result_type(*annotations.values())
    labels: np.ndarray | None = None
    previous_grey: np.ndarray | None = None
    for position, frame in enumerate(frames):
        if labels is None:
            labels = np.zeros(frame.shape[:2], dtype=dtype)
        _require_same_size(position, labels, frame)
        grey = None if baseline == "copy" else np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
        if grey is not None and previous_grey is not None and labels.any():
            if min(grey.shape) >= _SMALLEST:
                labels = _warp(labels, np.asarray(flow.calc(grey, previous_grey, np.empty(0))))
            if baseline == "grabcut":
                labels = _refine(labels, frame)
        annotation = annotations.get(position)
        if annotation is not None:
            _require_same_size(position, annotation, frame)
            labels = np.where(annotation != 0, annotation, labels).astype(dtype)
        previous_grey = grey
        yield labels


def _warp(labels: np.ndarray, flow_back: np.ndarray) -> np.ndarray:
    """Move a label map to the next frame.

    labels: (H, W) of the previous frame; flow_back: (H, W, 2) float32, x and y in pixels, from the next frame
    to the previous one. What comes from outside the picture is background.
    """
    height, width = labels.shape
    rows, columns = np.mgrid[:height, :width]
    source_x = np.rint(columns + flow_back[..., 0]).astype(np.int64)
    source_y = np.rint(rows + flow_back[..., 1]).astype(np.int64)
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
    moved: np.ndarray = labels[source_y.clip(0, height - 1), source_x.clip(0, width - 1)]
    moved[~inside] = 0
    return moved


def _refine(labels: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Redraw the boundary of every object; a pixel that two objects claim stays as it was."""
    diagonal = float(np.hypot(*labels.shape))
    claims = np.zeros(labels.shape, dtype=np.uint16)
    refined = np.zeros_like(labels)
    for object_id in ids_in(labels):
        claim = _grabcut(labels == object_id, frame, diagonal)
        claims += claim
        refined[claim] = object_id
    return np.where(claims > 1, labels, refined)


def _grabcut(mask: np.ndarray, frame: np.ndarray, diagonal: float) -> np.ndarray:
    """Return the object's (H, W) bool mask with the band round its boundary decided by colour."""
    band = max(2, round(_BAND * diagonal))
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    window = bounding_window(mask, margin=band + max(2, round(_MARGIN * diagonal)))
    assert window is not None
    inside = mask[window].astype(np.uint8)
    core = cv2.erode(inside, element, borderType=cv2.BORDER_REPLICATE) > 0
    reach = cv2.dilate(inside, element) > 0
    if np.count_nonzero(core) < _MINIMUM_CORE or reach.all():
        return mask
    trimap = np.full(inside.shape, cv2.GC_BGD, dtype=np.uint8)
    trimap[reach] = cv2.GC_PR_BGD
    trimap[inside > 0] = cv2.GC_PR_FGD
    trimap[core] = cv2.GC_FGD
    background_model, foreground_model = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # GrabCut clusters colours from random seeds; the same input must give the same mask
    picture = np.ascontiguousarray(frame[window])
    cv2.grabCut(
        picture, trimap, (0, 0, 0, 0), background_model, foreground_model, _ITERATIONS, cv2.GC_INIT_WITH_MASK
    )
    cut = np.zeros_like(mask)
    cut[window] = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    return cut


def _require_same_size(position: int, labels: np.ndarray, frame: np.ndarray) -> None:
    if labels.shape != frame.shape[:2]:
        raise SettingsError(
            f"frame {position} is {frame.shape[1]}x{frame.shape[0]} and the label map "
            f"{labels.shape[1]}x{labels.shape[0]}",
            "give frames and annotations of one size",
        )
