"""What goes to a worker and what comes back; both travel between processes and machines."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from stma_cli.segment.settings import SegmentSettings


class Status(StrEnum):
    """What became of a clip."""

    DONE = "done"
    UNCHANGED = "unchanged"  # an earlier run did it, and nothing has changed since
    FAILED = "failed"
    WAITING = "waiting"  # not begun, or interrupted: the next run goes on with it


@dataclass(frozen=True)
class ClipJob:
    """One clip to segment.

    Attributes:
        name: path of its results below the output, with "/".
        settings: as for `stma segment`; `out` and where it runs are filled in by the worker.
        ours: the folder of results, if there is one, was written by stma, so that masks in it may be removed.
        attempt: from 1; more after a worker has died.
        only_draw: the masks are there, and the overlay alone is to be drawn from them.
    """

    name: str
    settings: SegmentSettings
    ours: bool = True
    attempt: int = 1
    only_draw: bool = False


@dataclass(frozen=True)
class ClipOutcome:
    """What became of one clip.

    Attributes:
        name: of the job.
        status: see `Status`.
        frames: masks of the clip that are complete.
        computed: of these, made by this run.
        given: frames whose objects were given by a mask, as far as this run has seen.
        resumed_at: frame at which an interrupted run went on, or None.
        seconds: wall time of this run.
        attempts: workers that took it.
        worker: who did it, such as "cuda:0".
        message: the error, or why it was left alone.
        notes: what the user should know.
        traceback: of an error that nobody expected.
    """

    name: str
    status: Status
    frames: int = 0
    computed: int = 0
    given: int = 0
    resumed_at: int | None = None
    seconds: float = 0.0
    attempts: int = 0
    worker: str = ""
    message: str = ""
    notes: tuple[str, ...] = ()
    traceback: str = ""


@dataclass(frozen=True)
class WorkerSpec:
    """A place where clips are segmented.

    Attributes:
        name: for tables, such as "cuda:1" or "cpu 2".
        device: as `stma segment --device` takes it.
        threads: CPU threads of the model, or None for what `stma segment` would use.
    """

    name: str
    device: str
    threads: int | None


class Worker(Protocol):
    """Segments one clip after the other, in a process of its own."""

    def run(self, job: ClipJob) -> ClipOutcome:
        """Segment a clip; every error becomes an outcome."""


class WorkerFactory(Protocol):
    """Makes a worker in the process where it is to run; can be pickled."""

    def __call__(self, spec: WorkerSpec) -> Worker:
        """Make a worker that has loaded nothing yet."""


def plain_outcome(outcome: ClipOutcome) -> dict[str, Any]:
    """Return the outcome for batch.json, without what is empty."""
    row: dict[str, Any] = {"clip": outcome.name, "status": outcome.status.value}
    for key, value in vars(outcome).items():
        if key not in ("name", "status") and value not in ("", (), None):
            row[key] = list(value) if isinstance(value, tuple) else value
    return row
