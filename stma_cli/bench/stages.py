"""Speed of decoding and writing by themselves, and of the whole pipeline, on a synthetic clip."""

import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from stma.benchmark import FrameLoop, Spread, quartiles
from stma.labels import ids_in
from stma.palette import davis_palette
from stma.segmenter import Segmenter
from stma_cli.bench.settings import PipelineSpeed
from stma_cli.masks import MaskWriter
from stma_cli.pipeline.protocols import PredictionLike
from stma_cli.pipeline.run import Pipeline
from stma_cli.pipeline.sinks import MaskSink, OverlaySink, Sink
from stma_cli.rendering.overlay import OverlayRenderer
from stma_cli.video import Frame, VideoInfo, VideoSource, VideoWriter, open_video

FRAME_RATE = Fraction(25)


class Stages:
    """A synthetic clip in a temporary folder, and the stages that read it and write results beside it."""

    def __init__(self, folder: Path, loop: FrameLoop, frames: int, repeats: int) -> None:
        """Encode the clip.

        Args:
            folder: empty; takes the clip and all results.
            loop: pictures and objects of the clip.
            frames: length of the clip.
            repeats: of each measurement.
        """
        self._folder, self._frames, self._repeats = folder, frames, repeats
        self._names = {i: f"object {i}" for i in ids_in(loop.labels[0])}
        path = folder / "clip.mp4"
        height, width = loop.labels[0].shape
        with VideoWriter(path, _info(path, height, width), audio=False) as writer:
            for index, pixels in enumerate(loop.take(frames)):
                writer.write(pixels, index / FRAME_RATE)
        self._source: VideoSource = open_video(path)

    def measure(self, segmenter: Segmenter) -> PipelineSpeed:
        """Measure the stages; the segmenter follows its objects through the clip and gives the masks to write."""
        frames = list(self._source.frames())
        labels = [segmenter.step(frame.pixels).labels for frame in frames]
        return PipelineSpeed(
            decode=self._rates(self._decode),
            masks=self._rates(lambda: self._write(self._mask_sink(), frames, labels)),
            overlay=self._rates(lambda: self._write(self._overlay_sink(), frames, labels)),
            together=self._rates(lambda: self.together(segmenter, {}, lambda frame, prediction: None)),
        )

    def _rates(self, run: Callable[[], None]) -> Spread:
        seconds = []
        for _ in range(self._repeats + 1):  # the first one warms up
            begun = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begun)
        return quartiles([self._frames / each for each in seconds[1:]])

    def _decode(self) -> None:
        for _ in self._source.frames():
            pass

    def _write(self, sink: Sink, frames: Sequence[Frame], labels: Sequence[np.ndarray]) -> None:
        for frame, plane in zip(frames, labels, strict=True):
            sink.write(frame, plane)
        sink.close()

    def together(
        self,
        segmenter: Segmenter,
        masks: Mapping[int, np.ndarray],
        on_frame: Callable[[Frame, PredictionLike], None],
    ) -> None:
        """Run the whole clip through decoding, model, masks and overlay at once; arguments as of `Pipeline`."""
        sinks: list[Sink] = [self._mask_sink(), self._overlay_sink()]
        Pipeline(segmenter, masks, sinks, segmenter.config.chunk, on_frame).run(self._source.frames())

    def _mask_sink(self) -> MaskSink:
        folder = self._folder / "masks"
        folder.mkdir(exist_ok=True)
        return MaskSink(MaskWriter(folder, davis_palette(), self._names))

    def _overlay_sink(self) -> OverlaySink:
        writer = VideoWriter(self._folder / "overlay.mp4", self._source.info, audio=False)
        return OverlaySink(writer, OverlayRenderer(self._names))


def _info(path: Path, height: int, width: int) -> VideoInfo:
    return VideoInfo(
        path=path,
        kind="container",
        width=width,
        height=height,
        frame_rate=FRAME_RATE,
        time_base=1 / (FRAME_RATE * 512),
        frame_count_hint=None,
        codec="h264",
    )
