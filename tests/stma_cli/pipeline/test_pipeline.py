"""The pipeline: order, completeness, and a clean end whatever fails."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest
from fakes import CopySegmenter, FakePrediction

from stma.errors import OutputError, VideoError
from stma_cli.pipeline.run import Pipeline, RunInterrupted, frames_held
from stma_cli.video import Frame

SIZE = (6, 8)


class ListSink:
    """Keeps what it is given, and how it was ended."""

    name = "list"

    def __init__(self, fail_at: int | None = None, slow: float = 0.0) -> None:
        self.rows: list[tuple[int, np.ndarray]] = []
        self.end: list[str] = []
        self._fail_at, self._slow = fail_at, slow

    @property
    def count(self) -> int:
        return len(self.rows)

    def write(self, frame: Frame, labels: np.ndarray) -> None:
        time.sleep(self._slow)
        if self._fail_at == frame.index:
            raise OutputError("the disk is full", "free some space")
        self.rows.append((frame.index, labels))

    def close(self) -> None:
        self.end.append("closed")

    def abort(self) -> None:
        self.end.append("aborted")


def frames(count: int, start: int = 0, damaged_at: int | None = None) -> Iterator[Frame]:
    for index in range(start, start + count):
        if index == damaged_at:
            raise VideoError("frame is damaged", "copy the file again")
        yield Frame(index, np.zeros((*SIZE, 3), np.uint8), Fraction(index, 25), f"{index:05d}")


def marked(object_id: int) -> np.ndarray:
    labels = np.zeros(SIZE, np.int32)
    labels[2, object_id] = object_id
    return labels


def make(
    *sinks: ListSink,
    segmenter: CopySegmenter | None = None,
    chunk: int = 4,
    masks: dict[int, np.ndarray] | None = None,
) -> Pipeline:
    masks = masks if masks is not None else {0: marked(1)}
    return Pipeline(segmenter or CopySegmenter(), masks, sinks, chunk, lambda frame, prediction: None)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("chunk", [1, 4, 11, 50])
def test_every_frame_comes_out_once_in_order(chunk: int) -> None:
    sinks, segmenter = (ListSink(), ListSink(slow=0.002)), CopySegmenter()
    pipeline = make(*sinks, segmenter=segmenter, chunk=chunk)
    pipeline.run(frames(22))
    for sink in sinks:
        assert [index for index, _ in sink.rows] == list(range(22))
        assert sink.end == ["closed"]
    assert pipeline.frame_count == sum(segmenter.chunks) == 22
    assert max(segmenter.chunks) == min(chunk, 22)


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_masks_reach_their_frame_by_its_number_in_the_video(chunk: int) -> None:
    sink = ListSink()
    make(sink, chunk=chunk, masks={100: np.zeros(SIZE, np.int32), 102: marked(1), 107: marked(3)}).run(
        frames(10, start=100)
    )
    ids = {index: tuple(np.unique(labels[labels > 0]).tolist()) for index, labels in sink.rows}
    assert ids == {i: () for i in (100, 101)} | {i: (1,) for i in range(102, 107)} | {
        i: (1, 3) for i in (107, 108, 109)
    }


def test_a_mask_without_any_object_is_none_for_the_model() -> None:
    class Recording(CopySegmenter):
        given: list[np.ndarray] = []  # noqa: RUF012

        def steps(
            self, frames: Sequence[np.ndarray], masks: Mapping[int, np.ndarray] | None = None
        ) -> list[FakePrediction]:
            self.given += (masks or {}).values()
            return super().steps(frames, masks)

    segmenter = Recording()
    make(ListSink(), segmenter=segmenter, masks={0: marked(1), 5: np.zeros(SIZE, np.int32)}).run(frames(8))
    assert [mask.max() for mask in segmenter.given] == [1]


def test_queues_are_bounded() -> None:
    read, written, ahead = 0, 0, []

    def counted() -> Iterator[Frame]:
        nonlocal read
        for frame in frames(80):
            read += 1
            ahead.append(read - written)
            yield frame

    class Counting(ListSink):
        def write(self, frame: Frame, labels: np.ndarray) -> None:
            nonlocal written
            super().write(frame, labels)
            written += 1

    make(Counting(slow=0.002), chunk=2).run(counted())
    assert max(ahead) <= 4 + 4 + 2 + 4


def test_damaged_frame_ends_the_run_after_the_frames_before_it() -> None:
    sink = ListSink()
    with pytest.raises(VideoError, match="damaged"):
        make(sink).run(frames(30, damaged_at=10))
    assert [index for index, _ in sink.rows] == list(range(10))
    assert sink.end == ["aborted"]


def test_failing_sink_ends_everything_with_its_own_error() -> None:
    failing, other = ListSink(fail_at=5), ListSink()
    with pytest.raises(OutputError, match="disk is full"):
        make(failing, other).run(frames(100_000))
    assert failing.end == other.end == ["aborted"]


def test_the_last_frame_is_that_of_the_first_sink() -> None:
    first, second = ListSink(fail_at=3, slow=0.02), ListSink()
    pipeline = make(first, second, chunk=1)
    with pytest.raises(OutputError, match="disk is full"):
        pipeline.run(frames(9))
    assert second.count > first.count == 3
    assert pipeline.last_index == 2, "a checkpoint must not count on masks that only an overlay shows"


def test_failing_model_ends_everything_with_its_own_error() -> None:
    def fail(chunks: int) -> None:
        if chunks == 2:
            raise RuntimeError("model")

    sink = ListSink()
    with pytest.raises(RuntimeError, match="model"):
        make(sink, segmenter=CopySegmenter(fail)).run(frames(100_000))
    assert sink.end == ["aborted"]


def test_interrupt_writes_what_is_segmented_and_says_how_far_it_came() -> None:
    def interrupt(chunks: int) -> None:
        if chunks == 3:
            raise KeyboardInterrupt

    sink, slow = ListSink(slow=0.005), ListSink(slow=0.01)
    with pytest.raises(RunInterrupted) as caught:
        make(sink, slow, segmenter=CopySegmenter(interrupt)).run(frames(100_000))
    assert caught.value.last_index == 11
    assert sink.count == slow.count == 12
    assert sink.end == ["aborted"]


def test_more_interrupts_do_not_disturb_the_end_of_the_run() -> None:
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(chunks: int) -> None:
        if chunks == 1:
            os.kill(os.getpid(), signal.SIGINT)

    class Interrupting(ListSink):
        def write(self, frame: Frame, labels: np.ndarray) -> None:
            super().write(frame, labels)
            if frame.index > 1:
                os.kill(os.getpid(), signal.SIGINT)

    sink = Interrupting(slow=0.02)
    with pytest.raises(RunInterrupted) as caught:
        make(sink, segmenter=CopySegmenter(interrupt)).run(frames(100_000))
    assert caught.value.last_index == 3
    assert sink.end == ["aborted"]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_missing_prediction_is_an_error() -> None:
    class Forgetful(CopySegmenter):
        def steps(self, frames: list[np.ndarray], masks: object = None) -> list[FakePrediction]:  # type: ignore[override]
            return super().steps(frames)[:-1]

    with pytest.raises(ValueError, match="shorter"):
        make(ListSink(), segmenter=Forgetful()).run(frames(8))


def test_a_sink_that_loses_a_frame_is_an_error() -> None:
    class Losing(ListSink):
        def write(self, frame: Frame, labels: np.ndarray) -> None:
            if frame.index != 3:
                super().write(frame, labels)

    sink = Losing()
    with pytest.raises(OutputError, match="8 frames were read, 8 segmented and 7 written to the list"):
        make(sink).run(frames(8))
    assert sink.end == ["aborted"]


def test_stages_are_timed_apart() -> None:
    pipeline = make(ListSink(slow=0.001))
    pipeline.run(frames(10))
    assert pipeline.timings.write["list"] >= 0.01
    assert pipeline.timings.wall >= pipeline.timings.model >= 0.0


@pytest.mark.parametrize("chunk", [1, 3, 4, 6])
def test_as_many_frames_are_held_as_foreseen(chunk: int) -> None:
    held, at_work = frames_held(chunk), 2  # one is being decoded and one written, besides
    decoded, full = 0, threading.Event()

    class WaitingSink(ListSink):
        most = 0

        def write(self, frame: Frame, labels: np.ndarray) -> None:
            assert full.wait(10), f"only {decoded} frames were decoded"
            super().write(frame, labels)
            self.most = max(self.most, decoded - self.count)

    def counted_frames() -> Iterator[Frame]:
        nonlocal decoded
        for frame in frames(3 * held):
            decoded = frame.index + 1
            if decoded == held:
                full.set()
            yield frame

    sink = WaitingSink(slow=0.001)
    make(sink, chunk=chunk).run(counted_frames())
    assert sink.count == 3 * held
    assert sink.most <= held + at_work
