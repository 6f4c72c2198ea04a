"""Where a run of `stma segment` begins: at its first frame, or at the checkpoint of an interrupted run."""

from dataclasses import replace

from stma.errors import OutputError, SettingsError
from stma_cli.output import full_path
from stma_cli.pipeline.held_back import HeldState
from stma_cli.report_file import read_report_head
from stma_cli.result_layout import CHECKPOINT_FILE, REPORT_FILE
from stma_cli.segment.backward import require_saved_predictions
from stma_cli.segment.checkpoint import Checkpoint, load_checkpoint
from stma_cli.segment.corrections import FinishedRun
from stma_cli.segment.identity import RunIdentity
from stma_cli.segment.model_setup import ModelSetup
from stma_cli.segment.report import ReportState, require_rows
from stma_cli.segment.settings import SegmentSettings
from stma_cli.segment.soft import SoftMasks
from stma_cli.segment.task import Task


def saved_run(settings: SegmentSettings) -> Checkpoint | None:
    """Return the checkpoint to go on from, or None for a fresh run.

    Raises:
        SettingsError: the checkpoint cannot be read, and `force` is not set.
        OutputError: there is one, but the settings ask neither to go on nor to start again.
    """
    if settings.resume:
        try:
            return load_checkpoint(settings.out)
        except SettingsError:
            if settings.force:
                return None
            raise
    if not settings.force and (settings.out / CHECKPOINT_FILE).exists():
        raise OutputError(
            f"{settings.out} holds an interrupted run",
            "add --resume to go on with it, or --force to start again",
        )
    return None


def owns_overlay(settings: SegmentSettings, earlier: FinishedRun | None) -> bool:
    """Whether an overlay that is there is of an earlier run into the same folder, finished or interrupted.

    Raises:
        SettingsError: the checkpoint of an interrupted run cannot be read, and `force` is not set.
    """
    if settings.overlay is None or not settings.overlay.exists():
        return False
    if not settings.resume:
        return earlier is not None and earlier.drew(settings.overlay)
    saved = saved_run(settings)
    return saved is not None and saved.overlay == str(settings.overlay.resolve())


def beginning(task: Task, setup: ModelSetup, saved: Checkpoint | None, soft: SoftMasks) -> Checkpoint:
    """Return where the run begins.

    Args:
        task: this run; with `force` it starts again where it cannot go on.
        setup: the model at its start.
        saved: the checkpoint of an interrupted run, or None.
        soft: its soft masks.

    Raises:
        SettingsError: the interrupted run had other inputs or settings.
        OutputError: some of its results are gone.
    """
    from stma import __version__

    settings = task.settings
    identity = RunIdentity.of(settings, setup.model.sha256, ends=task.ends)
    runtime = {"version": __version__, "device": setup.device.split(":")[0], "precision": setup.arithmetic}
    if saved is not None:
        try:
            saved.require_same(identity, runtime)
            require_rows(settings.out, saved.report)
            if saved.segmenter is not None:
                require_saved_predictions(settings, task.annotations, saved.next_frame)
                soft.require(range(settings.start, saved.next_frame), saved.soft)
        except (SettingsError, OutputError):
            if not settings.force:
                raise
            saved = None
    place = full_path(settings.soft)
    if saved is None:
        return Checkpoint(
            next_frame=settings.start,
            identity=identity,
            runtime=runtime,
            segmenter=None,
            held=HeldState(settings.start),
            report=ReportState(),
            overlay=full_path(settings.overlay),
            soft=place,
        )
    if saved.segmenter is None:
        return replace(saved, soft=place)
    return replace(saved, identity=identity, resumed_at=(*saved.resumed_at, saved.next_frame), soft=place)


def after_ctrl_c(settings: SegmentSettings) -> str:
    """Say what to do after Ctrl-C before the first frame or after the last, by what lies in the folder."""
    if (settings.out / CHECKPOINT_FILE).exists():
        return f"the run is not complete.\ngo on with: {settings.resume_command()}"
    if read_report_head(settings.out / REPORT_FILE) is not None:
        return f"the result in {settings.out} stands, run the same command again."
    again = "again, with --force" if settings.out.exists() else "again"
    return f"no result is complete, run the command {again}."
