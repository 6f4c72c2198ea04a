"""Checkpoints of a run: the memory of the model and the rows of the report, from which it goes on exactly.

`.stma-checkpoint` lies beside the masks while a run is under way. A checkpoint that names frame n is written
only when the masks of all frames before n are complete files.
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from types import TracebackType
from typing import Any, Self

from stma.errors import InputError, OutputError, SettingsError, VideoError
from stma.saving import write_saved
from stma_cli.held_back import HeldBack, HeldState
from stma_cli.identity import RunIdentity
from stma_cli.kept_states import KeptStates
from stma_cli.pipeline import SegmenterLike
from stma_cli.report import ReportWriter
from stma_cli.segment_settings import SegmentSettings
from stma_cli.wording import may_not_be_read

CHECKPOINT_FILE = ".stma-checkpoint"
_UNREADABLE = (
    OSError,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
    UnpicklingError,
    zlib.error,
)


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands.

    Attributes:
        next_frame: the first frame, by its number in the whole video, that is not segmented yet.
        identity: what the masks depend on, see `RunIdentity.plain`.
        runtime: version, kind of device and precision, which have to stay the same for exact results.
        segmenter: `Segmenter.state_dict()`, or None before the first frame.
        held: what the steps after the model still hold back.
        report: `ReportWriter.state()`.
        resumed_at: frames at which the run has gone on before.
    """

    next_frame: int
    identity: dict[str, Any]
    runtime: dict[str, str]
    segmenter: dict[str, Any] | None
    held: HeldState
    report: dict[str, Any]
    resumed_at: tuple[int, ...] = ()

    def save(self, folder: Path) -> None:
        """Write it into the folder of the masks, in place of an older one.

        Raises:
            OutputError: when it cannot be written.
        """
        state = {"segmenter": _own_memory(self.segmenter), "held": self.held.plain()}
        write_saved(folder / CHECKPOINT_FILE, {**vars(self), **state})

    def require_same(self, identity: RunIdentity, runtime: Mapping[str, str]) -> None:
        """Refuse to go on with other inputs or options; another end is fine if it lies behind what is done.

        Raises:
            SettingsError: naming what has changed.
        """
        end = identity.settings["end"]
        if end is None or end > self.next_frame:  # no frame before that depends on where the run ends
            identity = identity.ending(self.identity.get("settings", {}).get("end"))
        changes = self.changes(identity, runtime)
        if changes:
            raise SettingsError(
                f"the interrupted run differs from this one: {', '.join(changes)}; "
                "give what it was begun with, or --force in place of --resume to start again"
            )

    def changes(self, identity: RunIdentity, runtime: Mapping[str, str]) -> list[str]:
        """Say what differs: video, masks, weights, options, version, kind of device or precision."""
        earlier = RunIdentity.from_plain(self.identity)
        if earlier is None:
            return ["the version of stma"]
        here = [
            f"{name} {self.runtime.get(name)} -> {now}"
            for name, now in runtime.items()
            if self.runtime.get(name) != now
        ]
        return identity.changes_since(earlier) + here


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint of an interrupted run, tensors in main memory, or None where there is none.

    Raises:
        SettingsError: it cannot be read.
    """
    path = folder / CHECKPOINT_FILE
    return read_checkpoint(path) if path.is_file() else None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint, tensors in main memory.

    Raises:
        SettingsError: it cannot be read.
    """
    import torch

    with reading_saved(path):
        values = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(**{**values, "held": HeldState.from_plain(values["held"])})


@contextmanager
def reading_saved(path: Path) -> Iterator[None]:
    """Turn the errors of `torch.load`, and of the wrong values that it may return, into one.

    Raises:
        SettingsError: the file is gone or damaged.
    """
    try:
        yield
    except PermissionError as error:
        raise SettingsError(may_not_be_read(path, error)) from error
    except _UNREADABLE as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise SettingsError(f"{path} cannot be read ({reason}); start again with --force") from error


def _own_memory(state: Any) -> Any:
    """Copy tensors, so that none takes the larger block it is a view of into the file."""
    import torch

    if isinstance(state, torch.Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, dict):
        return {key: _own_memory(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_own_memory(value) for value in state]
    return state


class Checkpointer:
    """Keeps the newest state of a run in memory and writes it every so many frames; use as a context.

    What is left behind: nothing after `finish`, after an error of the input other than a video that fails half-way,
    and where no frame was done; otherwise the last checkpoint written. With both `resume` and `force` it is left
    whenever a run does not finish, as the mark of a folder that the next run may go on with or begin anew.
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
        useless = other_input or not self.can_go_on
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
