"""Where segmented frames go: label PNGs, and a rendering of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from stma_cli.masks import MaskWriter
    from stma_cli.rendering.choose import Renderer
    from stma_cli.rendering.targets import RenderOutput
    from stma_cli.video import Frame


class Sink(Protocol):
    """Takes the frames of a run in order, in a thread of its own."""

    @property
    def name(self) -> str:
        """What it writes, for the report: "masks" or "overlay"."""

    @property
    def count(self) -> int:
        """Frames written so far."""

    def write(self, frame: "Frame", labels: np.ndarray) -> None:
        """Write one frame; `labels` is (H, W) of object ids."""

    def close(self) -> None:
        """Complete the result after the last frame."""

    def abort(self) -> None:
        """End early: keep complete files, remove what would stay unfinished."""


class MaskSink:
    """Writes one label PNG per frame, and `names.json` with the first."""

    name = "masks"

    def __init__(self, writer: "MaskWriter") -> None:
        self._writer = writer
        self.last_path: Path | None = None

    @property
    def count(self) -> int:
        """Frames written so far."""
        return self._writer.count

    def write(self, frame: "Frame", labels: np.ndarray) -> None:
        """Write the label PNG of one frame."""
        if self.last_path is None:
            self._writer.write_names()
        self.last_path = self._writer.write(frame.name, labels)

    def close(self) -> None:
        """Nothing is left to do: every file is complete when it has its name."""

    def abort(self) -> None:
        """Keep all files, each of them is complete."""


class OverlaySink:
    """Renders the objects and writes the pictures as a video, a preview or PNG files."""

    name = "overlay"

    def __init__(self, output: "RenderOutput", renderer: "Renderer") -> None:
        self._output = output
        self._renderer = renderer

    @property
    def count(self) -> int:
        """Frames written so far."""
        return self._output.frame_count

    @property
    def notes(self) -> list[str]:
        """What the user should know about the result."""
        return self._output.notes

    def write(self, frame: "Frame", labels: np.ndarray) -> None:
        """Render and append one frame."""
        self._output.write_frame(frame, self._renderer.render(frame.pixels, labels))

    def close(self) -> None:
        """Complete the result and give it its name."""
        self._output.close()

    def abort(self) -> None:
        """Leave nothing unfinished behind."""
        self._output.abort()
