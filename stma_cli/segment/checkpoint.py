"""Checkpoints of a run: the memory of the model and the rows of the report, from which it goes on exactly.

`.stma-checkpoint` lies beside the masks while a run is under way. A checkpoint that names frame n is written
only when the masks of all frames before n are complete files.
"""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from stma.errors import SettingsError
from stma.saving import write_saved
from stma_cli.pipeline.held_back import HeldState
from stma_cli.result_layout import CHECKPOINT_FILE
from stma_cli.segment.identity import RunIdentity
from stma_cli.segment.report import ReportState
from stma_cli.wording import may_not_be_read

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
        identity: what the masks depend on, None where another version has saved it.
        runtime: version, kind of device and precision, which have to stay the same for exact results.
        segmenter: `Segmenter.state_dict()`, or None before the first frame.
        held: what the steps after the model still hold back.
        report: how far it is.
        resumed_at: frames at which the run has gone on before.
        overlay: full path of the overlay that the run was begun with; a file there is its own or that of the run
            it corrects.
        soft: full path of the folder that holds the soft masks of all frames before `next_frame`, or None.
    """

    next_frame: int
    identity: RunIdentity | None
    runtime: dict[str, str]
    segmenter: dict[str, Any] | None
    held: HeldState
    report: ReportState
    resumed_at: tuple[int, ...] = ()
    overlay: str | None = None
    soft: str | None = None

    def save(self, folder: Path) -> None:
        """Write it into the folder of the masks, in place of an older one.

        Raises:
            OutputError: when it cannot be written.
        """
        state = {
            "identity": None if self.identity is None else self.identity.plain(),
            "segmenter": _own_memory(self.segmenter),
            "held": self.held.plain(),
            "report": self.report.plain(),
        }
        write_saved(folder / CHECKPOINT_FILE, {**vars(self), **state})

    def require_same(self, identity: RunIdentity, runtime: Mapping[str, str]) -> None:
        """Refuse to go on with other inputs or options; another end is fine if it lies behind what is done.

        Raises:
            SettingsError: naming what has changed.
        """
        end = identity.settings["end"]
        if end is None or end > self.next_frame:  # no frame before that depends on where the run ends
            identity = identity.ending(None if self.identity is None else self.identity.settings.get("end"))
        changes = self.changes(identity, runtime)
        if changes:
            raise SettingsError(
                f"the interrupted run differs from this one: {', '.join(changes)}",
                "give what it was begun with, or --force in place of --resume to start again",
            )

    def changes(self, identity: RunIdentity | None, runtime: Mapping[str, str]) -> list[str]:
        """Say what differs: video, masks, weights, options, version, kind of device or precision."""
        if self.identity is None or identity is None:
            return ["the version of stma"]
        here = [
            f"{name} {self.runtime.get(name)} -> {now}"
            for name, now in runtime.items()
            if self.runtime.get(name) != now
        ]
        return identity.changes_since(self.identity) + here


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
        typed = {
            "identity": RunIdentity.from_plain(values["identity"]),
            "held": HeldState.from_plain(values["held"]),
            "report": ReportState.from_plain(values["report"]),
        }
        return Checkpoint(**{**values, **typed})


@contextmanager
def reading_saved(path: Path) -> Iterator[None]:
    """Turn the errors of `torch.load`, and of the wrong values that it may return, into one.

    Raises:
        SettingsError: the file is gone or damaged.
    """
    try:
        yield
    except PermissionError as error:
        raise SettingsError(*may_not_be_read(path, error)) from error
    except _UNREADABLE as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise SettingsError(f"{path} cannot be read ({reason})", "start again with --force") from error


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
