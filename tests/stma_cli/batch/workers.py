"""Stand-ins for the workers of a batch: no model, but they can die like real ones."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from stma_cli.batch.jobs import ClipJob, ClipOutcome, Status, WorkerSpec
from stma_cli.segment.settings import SegmentSettings


@dataclass(frozen=True)
class FakeFactory:
    """Makes workers that note every job in `folder`/log.

    A job is fatal as often as the file `folder`/fatal-NAME says; a file `folder`/slow makes all of them slow.
    """

    folder: Path

    def __call__(self, spec: WorkerSpec) -> "FakeWorker":
        return FakeWorker(self.folder, spec)


class FakeWorker:
    """See `FakeFactory`."""

    def __init__(self, folder: Path, spec: WorkerSpec) -> None:
        self._folder = folder
        self._spec = spec

    def run(self, job: ClipJob) -> ClipOutcome:
        """Note the job, and die or be done."""
        with (self._folder / "log").open("a") as log:
            log.write(f"{job.name} {job.attempt}\n")
        fatal = self._folder / f"fatal-{job.name}"
        if fatal.exists() and job.attempt <= int(fatal.read_text()):
            os.kill(os.getpid(), signal.SIGKILL)
        outcome = ClipOutcome(job.name, Status.DONE, 5, 5, attempts=job.attempt, worker=self._spec.name)
        try:
            if (self._folder / "slow").exists():
                time.sleep(60)
        except KeyboardInterrupt:
            return ClipOutcome(job.name, Status.WAITING, message="interrupted")
        return outcome


def fake_jobs(*names: str) -> list[ClipJob]:
    """Return a job per name."""
    return [ClipJob(name, SegmentSettings(Path(name), (), Path(name))) for name in names]
