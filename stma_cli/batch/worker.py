"""The worker of both engines: keeps its model loaded, segments clip after clip, and never raises."""

import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stma.errors import DeviceError, StmaError
from stma_cli.batch.jobs import ClipJob, ClipOutcome, Status, WorkerSpec
from stma_cli.batch.storage import Storage
from stma_cli.report_file import finished_files, report_files, take_head, unfinished_files
from stma_cli.result_layout import OVERLAY_FILE
from stma_cli.segment.model_setup import ModelSetup, set_up_model
from stma_cli.segment.redraw import draw_video
from stma_cli.segment.run import segment_video
from stma_cli.segment.settings import SegmentInterrupted, SegmentSettings

if TYPE_CHECKING:
    from stma.weights import LoadedModel


@dataclass(frozen=True)
class ClipWorkerFactory:
    """Makes the workers of a batch.

    Attributes:
        storage: where the results go.
        overlay: also draw an overlay of each clip.
    """

    storage: Storage
    overlay: bool = False

    def __call__(self, spec: WorkerSpec) -> "ClipWorker":
        """Make a worker in the process where it is to run."""
        return ClipWorker(spec, self.storage, self.overlay)


class ClipWorker:
    """Segments clips on one device."""

    def __init__(self, spec: WorkerSpec, storage: Storage, overlay: bool = False) -> None:
        """Prepare a worker; the model is loaded with the first clip and kept.

        Args:
            spec: device and threads.
            storage: where the results go.
            overlay: also draw an overlay of each clip.
        """
        self._spec = spec
        self._storage = storage
        self._overlay = overlay
        self._loaded: dict[str, LoadedModel] = {}

    def run(self, job: ClipJob) -> ClipOutcome:
        """Segment a clip, or go on with it; every error becomes an outcome."""
        begun = time.perf_counter()
        outcome = ClipOutcome(job.name, Status.FAILED, attempts=job.attempt, worker=self._spec.name)
        try:
            outcome = self._run(job, outcome)
        except SegmentInterrupted as interrupt:
            outcome = replace(outcome, status=Status.WAITING, frames=interrupt.frames, message="interrupted")
        except KeyboardInterrupt:
            outcome = replace(outcome, status=Status.WAITING, message="interrupted")
        except StmaError as error:
            outcome = replace(outcome, message=str(error))
        except Exception as error:
            outcome = replace(outcome, message=_unexpected(error), traceback=traceback.format_exc())
        return replace(outcome, seconds=round(time.perf_counter() - begun, 3))

    def _run(self, job: ClipJob, outcome: ClipOutcome) -> ClipOutcome:
        with self._storage.workspace(job.name, job.ours) as workspace:
            folder = workspace.folder
            unfinished = set(unfinished_files(folder)) if job.ours else set()

            def on_checkpoint() -> None:
                if job.ours:  # the first checkpoint ends what an earlier report says, and so what it names
                    _remove(folder, set(finished_files(folder)))
                workspace.publish()

            settings = replace(
                job.settings,
                out=folder,
                overlay=folder / OVERLAY_FILE if self._overlay else None,
                device=self._spec.device,
                threads=self._spec.threads,
                force=True,
                resume=True,
                quiet=True,
            )
            if job.only_draw:
                drawn = draw_video(settings, _say_nothing)
                return replace(outcome, status=Status.DONE, frames=drawn.frames, notes=drawn.notes)
            try:
                result = segment_video(settings, _say_nothing, self._set_up, on_checkpoint)
            except SegmentInterrupted:
                workspace.publish()
                raise
            with result.report.open(encoding="utf-8") as report:
                resumed = take_head(report)["resumed_at"]
                _remove(folder, unfinished - set(report_files(report)))
            workspace.publish()
        return replace(
            outcome,
            status=Status.DONE,
            frames=result.frames,
            computed=result.computed,
            given=result.given,
            resumed_at=resumed[-1] if resumed else None,
            notes=result.notes,
        )

    def _set_up(self, settings: SegmentSettings, side: int | None, height: int, width: int) -> ModelSetup:
        return set_up_model(settings, side, height, width, self._load)

    def _load(self, name_or_path: str) -> "LoadedModel":
        from stma.weights import load_model

        if name_or_path not in self._loaded:
            self._loaded[name_or_path] = load_model(name_or_path)
        return self._loaded[name_or_path]


def _say_nothing(line: str) -> None:
    pass


def _remove(folder: Path, files: set[str]) -> None:
    """Remove masks of an earlier run by their names; other files stay."""
    for path in folder.glob("*.png"):
        if path.name in files and path.is_file():
            path.unlink(missing_ok=True)


def _unexpected(error: Exception) -> str:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return str(
            DeviceError("there is not enough memory for this clip", "use a smaller --size or fewer --workers")
        )
    text = str(error).splitlines()
    return f"unexpected {type(error).__name__}: {text[0] if text else ''}; please report it, with batch.json"
