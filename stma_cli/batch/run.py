"""What `stma batch` does: pairs, plans, hands the jobs to an engine, and keeps batch.json up to date."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event, current_thread, main_thread
from typing import Any

from stma.errors import OutputError
from stma_cli.batch.engine import Engine
from stma_cli.batch.engine_name import EngineName
from stma_cli.batch.jobs import ClipOutcome, Status, plain_outcome
from stma_cli.batch.pairing import Pairing, pair
from stma_cli.batch.plan import PlannedClip, largest_first, plan
from stma_cli.batch.settings import BatchResult, BatchSettings
from stma_cli.batch.storage import LocalStorage, Storage, open_storage
from stma_cli.batch.worker import ClipWorkerFactory
from stma_cli.output import is_url, only_one
from stma_cli.readable_json import readable_json
from stma_cli.result_layout import BATCH_FILE, BATCH_LOCK_FILE
from stma_cli.wording import labelled

FORMAT = 1
SECONDS_BETWEEN_WRITES = 2.0  # batch.json is for reading along; the reports of the clips are what counts


def pairing_of(settings: BatchSettings) -> Pairing:
    """Pair clips and masks, with full paths, as workers may run elsewhere; see `pair`."""
    out = [] if is_url(settings.out) else [Path(settings.out)]
    return pair(settings.clips.resolve(), settings.masks.resolve(), out)


def run_batch(
    settings: BatchSettings,
    say: Callable[[str], None],
    on_outcome: Callable[[ClipOutcome, int, int], None] = lambda outcome, done, jobs: None,
) -> BatchResult:
    """Segment all clips that are new, interrupted or changed.

    Args:
        settings: what to do.
        say: takes the lines that the user should read.
        on_outcome: called with each outcome of a job, how many there are by now and how many there will be.

    Raises:
        StmaError: when nothing can be begun: no clips, no weights, no device, no place for results, or another
            batch is writing there. Problems of single clips are part of the result.
    """
    from stma.weights_file import FOLDER, find_weights, model_info, require_checksum

    begun = time.perf_counter()
    pairing = pairing_of(settings)
    weights = model_info(find_weights(settings.template.model))
    require_checksum(weights)
    if weights.path.parent != FOLDER:
        template = replace(settings.template, model=str(weights.path.resolve()))
        settings = replace(settings, template=template)
    storage = open_storage(settings.out)
    with _only_one(storage), _stop_on_interrupt() as stop:
        planned = plan(settings, pairing, storage, weights.sha256)
        jobs = [clip.job for clip in planned if clip.job is not None]
        record = _Record(settings, storage, planned)
        for line in _opening_lines(settings, pairing, planned):
            say(line)
        if jobs and not stop.is_set():
            engine = _engine(settings, storage, len(jobs))
            record.workers = engine.workers
            say(labelled("workers", f"{len(engine.workers)}: {', '.join(engine.workers)}"))
            if len(engine.workers) > 1:
                jobs = largest_first(jobs)
            for number, outcome in enumerate(engine.run(jobs, stop), start=1):
                record.add(outcome)
                on_outcome(outcome, number, len(jobs))
        result = BatchResult(
            record.outcomes(), round(time.perf_counter() - begun, 3), pairing.notes, stop.is_set()
        )
        try:
            record.write(result)
        except OutputError as error:  # what became of the clips is told all the same
            result = replace(result, unwritten=str(error))
    return result


def _opening_lines(
    settings: BatchSettings, pairing: Pairing, planned: Sequence[PlannedClip]
) -> Iterator[str]:
    todo = sum(clip.job is not None for clip in planned)
    complete = sum(clip.outcome is not None and clip.outcome.status is Status.UNCHANGED for clip in planned)
    found = f"{len(planned)} below {settings.clips}: {todo} to do, {complete} complete already"
    yield labelled("clips", found)
    for note in pairing.notes:
        yield labelled("note", note)


def _engine(settings: BatchSettings, storage: Storage, jobs: int) -> Engine:
    factory = ClipWorkerFactory(storage, settings.overlay)
    if settings.engine is EngineName.RAY:
        from stma_cli.batch.ray_engine import RayEngine, connect, ray_specs

        ray = connect(settings.address)
        specs = ray_specs(ray, settings.workers, settings.threads)
        return RayEngine(ray, factory, specs[:jobs], settings.retries)
    from stma_cli.batch.devices import local_specs
    from stma_cli.batch.local_engine import LocalEngine

    specs = local_specs(settings.devices, settings.workers, settings.threads, jobs)
    return LocalEngine(factory, specs[:jobs], settings.retries)


class _Record:
    """Collects the outcomes and writes batch.json now and then."""

    def __init__(self, settings: BatchSettings, storage: Storage, planned: Sequence[PlannedClip]) -> None:
        self.workers: Sequence[str] = ()
        self._settings = settings
        self._storage = storage
        self._planned = planned
        self._outcomes: dict[str, ClipOutcome] = {}
        self._written = 0.0

    def add(self, outcome: ClipOutcome) -> None:
        """Take an outcome from the engine."""
        self._outcomes[outcome.name] = outcome
        if time.monotonic() - self._written > SECONDS_BETWEEN_WRITES:
            with suppress(OutputError):  # the last write reports it
                self.write(BatchResult(self.outcomes()))
            self._written = time.monotonic()

    def outcomes(self) -> tuple[ClipOutcome, ...]:
        """Return what is known of all clips, in their order."""
        return tuple(
            clip.outcome or self._outcomes.get(clip.pair.clip.name) or _waiting(clip)
            for clip in self._planned
        )

    def write(self, result: BatchResult) -> None:
        """Write batch.json.

        Raises:
            OutputError: when it cannot be written.
        """
        rows: list[dict[str, Any]] = []
        for clip, outcome in zip(self._planned, result.outcomes, strict=True):
            sources = {"video": str(clip.pair.clip.path), "masks": list(clip.pair.masks)}
            reason = {"reason": clip.reason} if clip.reason else {}
            rows.append({**plain_outcome(outcome), **sources, **reason})
        document = {
            "format": FORMAT,
            "written": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "settings": asdict(self._settings),
            "workers": list(self.workers),
            "seconds": result.seconds,
            "counts": {status.value: result.count(status) for status in Status},
            "notes": list(result.notes),
            "clips": rows,
        }
        text = readable_json(document, indent=2, default=str) + "\n"
        self._storage.write(BATCH_FILE, text)


def _waiting(clip: PlannedClip) -> ClipOutcome:
    return ClipOutcome(clip.pair.clip.name, Status.WAITING, message="not begun or not finished")


@contextmanager
def _stop_on_interrupt() -> Iterator[Event]:
    """Give an event that the first Ctrl-C sets; the second one raises KeyboardInterrupt as usual."""
    stop = Event()
    if current_thread() is not main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, stack: object) -> None:
        signal.signal(signal.SIGINT, before)
        stop.set()

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _only_one(storage: Storage) -> Iterator[None]:
    """Refuse a second batch into the same folder, where that can be told.

    Raises:
        OutputError: another batch is writing there, or the folder is not writable.
    """
    if not isinstance(storage, LocalStorage):
        yield
        return
    with only_one(storage.root / BATCH_LOCK_FILE, "stma batch"):
        yield
