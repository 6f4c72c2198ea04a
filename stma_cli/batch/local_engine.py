"""Workers on this machine: a process per device, or several that share the cores."""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import Event, Thread

from stma_cli.batch.engine import POLL_SECONDS, after_death
from stma_cli.batch.jobs import ClipJob, ClipOutcome, WorkerFactory, WorkerSpec

# seconds that workers get to save their state on Ctrl-C; a checkpoint takes a fraction of one
PATIENCE = 30.0


@dataclass
class _Seat:
    """A worker process and what it has in hand."""

    spec: WorkerSpec
    process: SpawnProcess
    pipe: "Connection[ClipJob | None, ClipOutcome]"
    job: ClipJob | None = None


class LocalEngine:
    """See `Engine`. Workers are processes of their own, so that a crash ends one of them and not the batch."""

    def __init__(self, factory: WorkerFactory, specs: Sequence[WorkerSpec], retries: int) -> None:
        """Prepare the workers; they start with the jobs.

        Args:
            factory: makes a worker in its process.
            specs: one per worker.
            retries: attempts after the first for a clip whose worker dies.
        """
        self._factory = factory
        self._specs = specs
        self._retries = retries
        self._seats: list[_Seat] = []

    @property
    def workers(self) -> Sequence[str]:
        """Names of the workers."""
        return [spec.name for spec in self._specs]

    def run(self, jobs: Sequence[ClipJob], stop: Event) -> Iterator[ClipOutcome]:
        """See `Engine.run`; workers that are stopped save their state first."""
        waiting = deque(jobs)
        self._seats = [self._start(spec) for spec in self._specs[: len(waiting)]]
        try:
            while not stop.is_set():
                for seat in self._seats:
                    if seat.job is None and waiting:
                        self._give(seat, waiting.popleft())
                busy = [seat for seat in self._seats if seat.job is not None]
                if not busy:
                    return
                ready = wait([seat.pipe for seat in busy], POLL_SECONDS)
                for seat in busy:
                    if seat.pipe in ready:
                        yield from self._taken(seat, waiting)
            yield from self._saved()
        finally:
            self._end()

    def _saved(self) -> Iterator[ClipOutcome]:
        """Pass Ctrl-C on to the workers, and yield the outcomes of the clips that they were at."""
        busy = [seat for seat in self._seats if seat.job is not None]
        if not hasattr(os, "setsid"):  # there is no signal to send; the last checkpoints have to do
            return
        for seat in busy:
            if seat.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(seat.process.pid, signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        while busy and (left := deadline - time.monotonic()) > 0:
            ready = wait([seat.pipe for seat in busy], left)
            for seat in [seat for seat in busy if seat.pipe in ready]:
                busy.remove(seat)
                with suppress(EOFError, OSError):
                    yield seat.pipe.recv()
                    seat.job = None

    def _start(self, spec: WorkerSpec) -> _Seat:
        context = multiprocessing.get_context("spawn")  # CUDA and threads do not survive a fork
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_work, args=(self._factory, spec, theirs), name=f"stma {spec.name}", daemon=True
        )
        process.start()
        theirs.close()
        return _Seat(spec, process, ours)

    def _give(self, seat: _Seat, job: ClipJob) -> None:
        seat.job = job
        with suppress(OSError):  # it has died: the pipe says so when it is read
            seat.pipe.send(job)

    def _taken(self, seat: _Seat, waiting: "deque[ClipJob]") -> Iterator[ClipOutcome]:
        job, seat.job = seat.job, None
        assert job is not None
        try:
            yield seat.pipe.recv()
        except (EOFError, OSError):
            seat.process.join()
            reason = f"exit code {seat.process.exitcode}"
            self._seats[self._seats.index(seat)] = self._start(seat.spec)
            result = after_death(job, self._retries, seat.spec.name, reason)
            if isinstance(result, ClipJob):
                waiting.appendleft(result)
            else:
                yield result

    def _end(self) -> None:
        for seat in self._seats:
            seat.pipe.close()
            seat.process.kill() if seat.job is not None else seat.process.terminate()
        for seat in self._seats:
            seat.process.join()
        self._seats = []


def _work(factory: WorkerFactory, spec: WorkerSpec, pipe: "Connection[ClipOutcome, ClipJob]") -> None:
    """Run in the worker process: take jobs until the pipe is closed."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C in the terminal reaches the batch alone, which passes it on once
    Thread(target=_end_with_parent, name="parent", daemon=True).start()
    worker = factory(spec)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            job = pipe.recv()
            pipe.send(worker.run(job))


def _end_with_parent() -> None:
    """End this process when the batch is killed, before another one begins with the same clips."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
