"""When a run is saved: the newest state whose masks are complete, every so many frames and at its end."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from stma.errors import InputError, OutputError, VideoError
from stma_cli.pipeline.held_back import HeldBack
from stma_cli.pipeline.protocols import SegmenterLike
from stma_cli.result_layout import CHECKPOINT_FILE
from stma_cli.segment.checkpoint import Checkpoint
from stma_cli.segment.kept_states import KeptStates
from stma_cli.segment.report import ReportWriter
from stma_cli.segment.settings import SegmentSettings


class Checkpointer:
    """Keeps the newest state of a run in memory and writes it every so many frames; use as a context.

    What is left behind: nothing after `finish`, after an error of the input other than a video that fails half-way,
    and where no frame was done; otherwise the last checkpoint written. After an error of the output, and with both
    `resume` and `force` whenever a run does not finish, it is left as the mark of a folder that the next run may go
    on with or begin anew.
    """

    def __init__(
        self,
        settings: SegmentSettings,
        segmenter: SegmenterLike,
        held_back: HeldBack,
        report: ReportWriter,
        begin: Checkpoint,
        states: KeptStates,
        on_save: Callable[[], None] | None = None,
    ) -> None:
        """Prepare to keep the state of a run.

        Args:
            settings: the folder of the masks, and the frames from one checkpoint to the next.
            segmenter: the model, at the state of `begin`.
            held_back: the steps after the model.
            report: its rows are part of the state.
            begin: where the run begins.
            states: takes some of the checkpoints for later corrections.
            on_save: called after each checkpoint is written.
        """
        self._states = states
        self._on_save = on_save
        self._folder = settings.out
        self._segmenter = segmenter
        self._held_back = held_back
        self._report = report
        self._saved = self._complete = begin
        self._ahead: deque[Checkpoint] = deque()  # states whose masks still wait to be written; a few at most
        self._every = settings.checkpoint
        self._always = settings.resume and settings.force

    def __enter__(self) -> Self:
        """Write the first checkpoint, which also marks the folder as one with a run under way."""
        self._save()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        other_input = isinstance(error, InputError) and not isinstance(error, VideoError)
        useless = other_input or not (self.can_go_on or isinstance(error, OutputError))
        if error is not None and useless and not self._always:
            self.finish()
        self._report.keep_rows = (self._folder / CHECKPOINT_FILE).exists()

    @property
    def can_go_on(self) -> bool:
        """Whether a run can go on from what is saved."""
        return self._saved.segmenter is not None

    def before_chunk(self, next_frame: int, last_written: int | None) -> None:
        """Note the state before the frame `next_frame`, and write the newest with complete masks if it is due.

        Args:
            next_frame: number of the frame that comes next.
            last_written: number of the last frame whose mask is a complete file.
        """
        self._ahead.append(
            replace(
                self._saved,
                next_frame=next_frame,
                segmenter=self._segmenter.state_dict(),
                held=self._held_back.state(),
                report=self._report.state(),
            )
        )
        self._settle(last_written)
        if self._complete.next_frame - self._saved.next_frame >= self._every:
            self._save()
            self._states.keep(self._folder / CHECKPOINT_FILE, self._saved.next_frame)

    def save_newest(self, last_written: int | None) -> bool:
        """Write the newest state with complete masks; return whether a run can go on from what is saved."""
        self._settle(last_written)
        with suppress(OutputError):  # where a full disk has ended the run, the checkpoint before stays
            if self._complete is not self._saved:
                self._save()
        return self.can_go_on

    def finish(self) -> None:
        """Remove the checkpoint."""
        (self._folder / CHECKPOINT_FILE).unlink(missing_ok=True)

    def _settle(self, last_written: int | None) -> None:
        while last_written is not None and self._ahead and self._ahead[0].held.next_mask <= last_written + 1:
            self._complete = self._ahead.popleft()

    def _save(self) -> None:
        self._complete.save(self._folder)
        self._saved = self._complete
        if self._on_save is not None:
            self._on_save()
