"""Workers on a Ray cluster: one actor per GPU, or per share of the CPUs."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Event
from typing import Any

from stma.errors import DeviceError, SettingsError
from stma_cli.batch.engine import POLL_SECONDS, after_death
from stma_cli.batch.jobs import ClipJob, ClipOutcome, Worker, WorkerFactory, WorkerSpec


def connect(address: str | None) -> Any:
    """Import Ray and connect to a cluster, or start one on this machine.

    Args:
        address: of a running cluster, "auto" for the one of this machine, None to start one.

    Raises:
        SettingsError: Ray is not installed.
        DeviceError: the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError as error:
        raise SettingsError(
            "--engine ray needs the package ray, which is not installed",
            "install it with: pip install 'stma-cli[ray]'",
        ) from error
    if not ray.is_initialized():
        try:
            if address is None:
                ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            else:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise DeviceError(
                f"no Ray cluster answers at {address or 'this machine'} ({error})",
                "start one with ray start --head, or leave --address out",
            ) from error
    return ray


def ray_specs(ray: Any, workers: int | None, threads: int | None) -> list[WorkerSpec]:
    """Divide the cluster: one worker per GPU where there are any, else shares of the CPUs.

    Args:
        ray: the connected module.
        workers: as many as this, or None for one per GPU, or per four CPUs.
        threads: CPUs of each worker, or None for equal shares.

    Raises:
        DeviceError: the cluster has too few GPUs or CPUs.
    """
    resources = ray.cluster_resources()
    gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    count = workers or gpus or max(1, cpus // (threads or 4))
    if gpus and count > gpus:
        raise DeviceError(
            f"the cluster has {gpus} GPUs for {count} workers", f"use --workers {gpus} or fewer"
        )
    share = threads or max(1, cpus // count)
    if count * share > cpus:
        raise DeviceError(
            f"the cluster has {cpus} CPUs for {count} workers with {share} each",
            "use fewer --workers or --threads",
        )
    kind = "cuda" if gpus else "cpu"
    return [WorkerSpec(f"ray {kind} {number}", kind, share) for number in range(1, count + 1)]


class _Actor:
    """What lives in Ray: makes its worker once and keeps it, model included."""

    def __init__(self, factory: WorkerFactory, spec: WorkerSpec) -> None:
        self._worker: Worker = factory(spec)

    def run(self, job: ClipJob) -> ClipOutcome:
        """Segment one clip."""
        return self._worker.run(job)


class RayEngine:
    """See `Engine`."""

    def __init__(self, ray: Any, factory: WorkerFactory, specs: Sequence[WorkerSpec], retries: int) -> None:
        """Prepare the actors; they start with the jobs.

        Args:
            ray: the connected module.
            factory: makes a worker in its actor.
            specs: one per actor.
            retries: attempts after the first for a clip whose actor dies.
        """
        self._ray = ray
        self._factory = factory
        self._specs = specs
        self._retries = retries
        self._actors: dict[WorkerSpec, Any] = {}

    @property
    def workers(self) -> Sequence[str]:
        """Names of the workers."""
        return [spec.name for spec in self._specs]

    def run(self, jobs: Sequence[ClipJob], stop: Event) -> Iterator[ClipOutcome]:
        """See `Engine.run`; actors that are stopped end at once, so that frames since the checkpoints are lost."""
        waiting = deque(jobs)
        free = list(self._specs[: len(waiting)])
        running: dict[Any, tuple[WorkerSpec, ClipJob]] = {}
        try:
            while (waiting or running) and not stop.is_set():
                while waiting and free:
                    spec, job = free.pop(0), waiting.popleft()
                    running[self._actor(spec).run.remote(job)] = spec, job
                for spec in free:  # what has nothing to do must not keep others from starting
                    self._stop(spec)
                done, _ = self._ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS)
                if not done:
                    continue
                spec, job = running.pop(done[0])
                free.append(spec)
                try:
                    yield self._ray.get(done[0])
                except self._ray.exceptions.RayError as error:
                    self._stop(spec)
                    reason = (
                        str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                    )
                    result = after_death(job, self._retries, spec.name, reason)
                    if isinstance(result, ClipJob):
                        waiting.appendleft(result)
                    else:
                        yield result
        finally:
            self._end()

    def _actor(self, spec: WorkerSpec) -> Any:
        if spec not in self._actors:
            remote = self._ray.remote(_Actor).options(
                num_cpus=spec.threads, num_gpus=1 if spec.device == "cuda" else 0, max_restarts=0
            )
            self._actors[spec] = remote.remote(self._factory, spec)
        return self._actors[spec]

    def _stop(self, spec: WorkerSpec) -> None:
        actor = self._actors.pop(spec, None)
        if actor is not None:
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)

    def _end(self) -> None:
        for spec in list(self._actors):
            self._stop(spec)
