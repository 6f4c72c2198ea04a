"""Decode, model and write at the same time, over bounded queues.

    decode thread -> frames -> model and what refines it, in the calling thread -> labels -> one thread per sink

A failure in any thread ends all of them. Frames that were decoded before a damaged one are still segmented
and written. Memory does not depend on the length of the video.
"""

import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from stma.errors import OutputError
from stma_cli.pipeline.channel import Channel, Stop, Stopped, start_thread
from stma_cli.pipeline.protocols import PredictionLike, SegmenterLike
from stma_cli.pipeline.sinks import Sink

if TYPE_CHECKING:
    from stma_cli.video import Frame

SHORTEST_QUEUE = 4
Item = TypeVar("Item")
Refine = Callable[[Iterator[tuple["Frame", PredictionLike]]], Iterator[tuple["Frame", PredictionLike]]]


@dataclass
class Timings:
    """Seconds that each stage was busy; the stages overlap, so that they add up to more than `wall`."""

    decode: float = 0.0
    model: float = 0.0
    write: dict[str, float] = field(default_factory=dict)
    wall: float = 0.0


class RunInterrupted(Exception):
    """Raised when Ctrl-C ends a run; what was written is complete.

    Attributes:
        last_index: number of the last frame that was written, or None.
    """

    def __init__(self, last_index: int | None) -> None:
        super().__init__("interrupted")
        self.last_index = last_index


def frames_held(chunk: int) -> int:
    """Return the frames that a run has at most: in the model, and waiting before it and behind it."""
    return 2 * _queue_length(chunk) + chunk


def _queue_length(chunk: int) -> int:
    return max(SHORTEST_QUEUE, chunk)


class Pipeline:
    """One run through a video.

    Attributes:
        timings: filled while it runs.
        frame_count: frames segmented so far.
        last_index: number of the last frame that the first sink has written, or None.
        decode_failure: what ended the frames before their time, or None.
    """

    def __init__(
        self,
        segmenter: SegmenterLike,
        masks: Mapping[int, np.ndarray],
        sinks: Sequence[Sink],
        chunk: int,
        on_frame: Callable[["Frame", PredictionLike], None],
        refine: Refine | None = None,
        before_chunk: Callable[[int, int | None], None] | None = None,
        held_back: int = 0,
        ends: Mapping[int, int] | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            segmenter: the model.
            masks: (H, W) annotations by frame number; those without any object are passed over.
            sinks: where the results go; each gets a thread.
            chunk: frames that the model takes at once.
            on_frame: called in the calling thread for every segmented frame, in order.
            refine: turns the stream of predictions into one of as many; may hold a few of them back.
            before_chunk: called in the calling thread before each chunk but the first, with the number of its
                first frame and `last_index`; the model has seen all frames before it and no other.
            held_back: predictions that `refine` still has from an interrupted run and will bring in.
            ends: the first frame without each of the objects that end, by id.
        """
        self.timings = Timings(write={sink.name: 0.0 for sink in sinks})
        self.frame_count = 0
        self._segmenter = segmenter
        self._masks = {frame: mask for frame, mask in masks.items() if mask.any()}
        self._sinks = sinks
        self._chunk = chunk
        self._on_frame = on_frame
        self._refine = refine or iter
        self._before_chunk = before_chunk
        self._decoded = held_back
        self._ending: defaultdict[int, list[int]] = defaultdict(list)  # ids by frame
        for object_id, end in (ends or {}).items():
            self._ending[end].append(object_id)
        self.last_index: int | None = None
        self.decode_failure: Exception | None = None

    def run(self, frames: Iterable["Frame"]) -> None:
        """Segment and write all frames.

        Raises:
            RunInterrupted: on Ctrl-C, after what was segmented has been written.
            StmaError: whatever decoding, model or writing raised first.
            OutputError: when the frames written are not as many as the frames read.
        """
        started = time.perf_counter()
        try:
            with _interrupted_once():
                self._run(frames)
        except BaseException as error:
            for sink in self._sinks:
                sink.abort()
            if isinstance(error, KeyboardInterrupt):
                raise RunInterrupted(self.last_index) from None
            raise
        finally:
            self.timings.wall = time.perf_counter() - started

    def _run(self, frames: Iterable["Frame"]) -> None:
        decode_stop, write_stop = Stop(), Stop()
        length = _queue_length(self._chunk)
        source: Channel[Frame] = Channel(length, decode_stop)
        outputs: list[Channel[tuple[Frame, np.ndarray]]] = [Channel(length, write_stop) for _ in self._sinks]
        threads: list[Thread] = []
        failure: BaseException | None = None
        try:
            threads.append(start_thread("decode", partial(self._decode, frames, source), decode_stop))
            for sink, output in zip(self._sinks, outputs, strict=True):
                threads.append(start_thread(sink.name, partial(self._write, sink, output), write_stop))
            self._segment(source, outputs)
            _drain(outputs, threads)
        except Stopped:
            pass  # the thread that stopped has left its reason
        except BaseException as error:
            failure = error
        if failure is not None or write_stop.requested:
            decode_stop.request()
            _drain(outputs, threads)
        failure = write_stop.failure or failure or decode_stop.failure or self.decode_failure
        if failure is not None:
            raise failure
        self._require_all_written()
        for sink in self._sinks:
            begun = time.perf_counter()
            sink.close()
            self.timings.write[sink.name] += time.perf_counter() - begun

    def _require_all_written(self) -> None:
        for sink in self._sinks:
            if not self._decoded == self.frame_count == sink.count:
                raise OutputError(
                    f"{self._decoded} frames were read, {self.frame_count} segmented and {sink.count} "
                    f"written to the {sink.name}",
                    "the result is not complete, run the command again and report this",
                )

    def _decode(self, frames: Iterable["Frame"], source: Channel["Frame"]) -> None:
        iterator = iter(frames)
        while True:
            begun = time.perf_counter()
            try:
                frame = next(iterator, None)
            except Exception as error:
                self.decode_failure = error  # raised once the frames before it are done
                frame = None
            self.timings.decode += time.perf_counter() - begun
            if frame is None:
                return source.finish()
            self._decoded += 1
            source.put(frame)

    def _segment(
        self, source: Channel["Frame"], outputs: Sequence[Channel[tuple["Frame", np.ndarray]]]
    ) -> None:
        for frame, prediction in self._refine(self._predicted(source)):
            for output in outputs:
                output.put((frame, prediction.labels))
            self.frame_count += 1
            self._on_frame(frame, prediction)

    def _predicted(self, source: Channel["Frame"]) -> Iterator[tuple["Frame", PredictionLike]]:
        for frames in _grouped(source, self._chunk):
            if self._before_chunk is not None and self.frame_count:
                self._before_chunk(frames[0].index, self.last_index)
            begun = time.perf_counter()
            predictions = self._stepped(frames)
            self.timings.model += time.perf_counter() - begun
            yield from zip(frames, predictions, strict=True)

    def _stepped(self, frames: Sequence["Frame"]) -> list[PredictionLike]:
        """Predict the frames of a chunk, in parts where objects end within it."""
        places = {place for place, frame in enumerate(frames) if frame.index in self._ending}
        predictions: list[PredictionLike] = []
        for first, stop in pairwise(sorted({0, *places, len(frames)})):
            part = frames[first:stop]
            if part[0].index in self._ending:
                self._segmenter.remove(self._ending[part[0].index])
            masks = {
                place: self._masks[frame.index]
                for place, frame in enumerate(part)
                if frame.index in self._masks
            }
            predictions += self._segmenter.steps([frame.pixels for frame in part], masks)
        return predictions

    def _write(self, sink: Sink, output: Channel[tuple["Frame", np.ndarray]]) -> None:
        for frame, labels in output:
            begun = time.perf_counter()
            sink.write(frame, labels)
            self.timings.write[sink.name] += time.perf_counter() - begun
            if sink is self._sinks[0]:
                self.last_index = frame.index


@contextmanager
def _interrupted_once() -> Iterator[None]:
    """Let the first Ctrl-C raise KeyboardInterrupt, and ignore more of them until the run has ended."""
    if current_thread() is not main_thread():
        yield
        return

    def interrupt(number: int, stack: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _drain(outputs: Iterable[Channel[Item]], threads: Iterable[Thread]) -> None:
    """Let the writers finish what they have, and wait for all threads."""
    with suppress(Stopped):
        for output in outputs:
            output.finish()
    for thread in threads:
        thread.join()


def _grouped(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items, the last one shorter."""
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
