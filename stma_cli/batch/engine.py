"""The engines' protocol: jobs in, outcomes out. All else is shared: worker, storage, checkpoints, tables."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Event
from typing import Protocol

from stma_cli.batch.jobs import ClipJob, ClipOutcome, Status

POLL_SECONDS = 0.2  # how soon an engine notices that it should stop


class Engine(Protocol):
    """Runs jobs on several workers."""

    @property
    def workers(self) -> Sequence[str]:
        """Names of the workers."""

    def run(self, jobs: Sequence[ClipJob], stop: Event) -> Iterator[ClipOutcome]:
        """Yield the outcomes of the jobs as they come; closing the iterator ends the workers.

        A job whose worker dies goes to another worker, which resumes it at its last checkpoint.

        Args:
            jobs: what to do, in this order.
            stop: once it is set no job is begun any more, and those in hand are ended; jobs without an outcome
                have to be run again, and then go on at their last checkpoint.
        """


def after_death(job: ClipJob, retries: int, worker: str, reason: str) -> ClipJob | ClipOutcome:
    """Return the job to try again, or its failure when it has been tried often enough.

    Args:
        job: what the worker had in hand.
        retries: attempts after the first.
        worker: its name.
        reason: how it ended, such as "exit code -9".
    """
    if job.attempt <= retries:
        return replace(job, attempt=job.attempt + 1)
    return ClipOutcome(
        job.name,
        Status.FAILED,
        attempts=job.attempt,
        worker=worker,
        message=(
            f"the worker ended {job.attempt} times while it had this clip, last with {reason}; if memory ran out "
            "use a smaller --size or fewer --workers, else check the clip with stma check"
        ),
    )
