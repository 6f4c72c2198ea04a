"""Stand-ins: a segmenter that needs no weights and repeats the labels marked last, and small masks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stma.palette import davis_palette
from stma.weights_file import ModelInfo
from stma_cli.segment.model_setup import ModelSetup
from stma_cli.segment.settings import SegmentSettings

CLIP_FRAMES = 10  # of the clip in a `small_workplace`


@dataclass(frozen=True)
class FakePrediction:
    """The parts of a prediction that the pipeline reads."""

    labels: np.ndarray
    object_ids: tuple[int, ...]
    confidence: dict[int, float]
    area: dict[int, int]


class CopySegmenter:
    """Copies the marked labels; remembers the sizes of the chunks it was given."""

    def __init__(self, on_chunk: Callable[[int], None] = lambda chunks: None) -> None:
        self.chunks: list[int] = []
        self._on_chunk = on_chunk
        self._labels: np.ndarray | None = None

    def steps(
        self, frames: Sequence[np.ndarray], masks: Mapping[int, np.ndarray] | None = None
    ) -> list[FakePrediction]:
        """Return one prediction per frame."""
        self._on_chunk(len(self.chunks))
        self.chunks.append(len(frames))
        return [self._step(frame, (masks or {}).get(place)) for place, frame in enumerate(frames)]

    def remove(self, object_ids: Sequence[int]) -> None:
        """Copy these no longer."""
        assert self._labels is not None
        assert np.isin(object_ids, self._labels).all()
        self._labels = np.where(np.isin(self._labels, object_ids), 0, self._labels)

    def state_dict(self) -> dict[str, Any]:
        """Return the labels to go on with."""
        return {"labels": None if self._labels is None else self._labels.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._labels = None if state["labels"] is None else np.array(state["labels"], np.uint8)

    def _step(self, frame: np.ndarray, mask: np.ndarray | None) -> FakePrediction:
        labels = np.zeros(frame.shape[:2], np.uint8) if self._labels is None else self._labels.copy()
        if mask is not None:
            labels = np.where(mask > 0, mask, labels)
            labels = labels.astype(np.uint16 if labels.max() > 255 else np.uint8)
        self._labels = labels
        ids = tuple(int(value) for value in np.unique(labels) if value)
        return FakePrediction(
            labels, ids, dict.fromkeys(ids, 0.5), {i: int((labels == i).sum()) for i in ids}
        )


def save_mask(path: str, *ids: int, width: int = 64, height: int = 48) -> None:
    """Save a label PNG with one square per id, from left to right; id 0 leaves a gap."""
    labels = np.zeros((height, width), np.uint16 if max(ids, default=0) > 255 else np.uint8)
    for place, object_id in enumerate(ids):
        labels[10:20, 4 + 16 * place : 14 + 16 * place] = object_id
    image = Image.fromarray(labels)
    if image.mode == "L":
        image.putpalette(davis_palette().tobytes())
    image.save(path)


def fake_setup(
    settings: SegmentSettings,
    side: int | None,
    height: int,
    width: int,
    segmenter: CopySegmenter | None = None,
) -> ModelSetup:
    """Stand in for `set_up_model`."""
    return ModelSetup(
        segmenter=segmenter or CopySegmenter(),
        model=ModelInfo("fake", Path("fake.safetensors"), "0", 0, None),
        device="cpu",
        precision="fp32",
        arithmetic="fp32",
        threads=1,
        working_size=(height, width),
        adapt=settings.adapt,
    )
