"""A training run of `stma train`."""

import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from stma.config import SegmenterConfig
from stma.process import prepare_process
from stma.training.config import TrainConfig
from stma.training.distributed import will_lead
from stma.training.plot import plot_run
from stma.training.trainer import StepReport, Trainer
from stma.training.validate import Validator
from stma_cli.output import only_run_into
from stma_cli.result_layout import TRAIN_LOCK_FILE
from stma_cli.wording import counted

TOLD_EVERY = 20  # steps


def learn(
    data: Path,
    run: Path,
    config: TrainConfig,
    segmenter: SegmenterConfig,
    validation_frames: int | None,
    say: Callable[[str], None],
) -> None:
    """Train, telling of it, until the end of the schedule or a signal, which ends it after a step.

    Args:
        data: training folder.
        run: folder of checkpoints and logs, which no other run may use meanwhile.
        config: how to train.
        segmenter: how validation clips are followed; its device is that of the training.
        validation_frames: of each validation clip, None for all.
        say: takes lines for the terminal.

    Raises:
        StmaError: as `Trainer` and its `train` do.
        OutputError: another run goes on in the folder.
    """
    prepare_process(config.threads)
    with only_run_into(run, TRAIN_LOCK_FILE, "stma train") if will_lead() else nullcontext():
        trainer = Trainer(data, run, config)
        leads = trainer.group.leads
        if leads:
            say(_opening_line(trainer))
        on_device = replace(segmenter, device=str(trainer.device))
        validator = Validator(trainer.pool.validation, on_device, validation_frames)
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, lambda *_: trainer.stop())
        trainer.train(lambda report: _tell(report, say), validator if trainer.pool.validation else None)
        if leads:
            plot = plot_run(run)
            say(f"weights in {run / 'last.safetensors'}; checkpoint in {trainer.checkpoint}; plot in {plot}")


def _opening_line(trainer: Trainer) -> str:
    pool = trainer.pool
    return (
        f"{len(pool.sequences)} clips, {len(pool.stills)} stills, {len(pool.plain)} backgrounds; validation on "
        f"{counted(len(pool.validation), 'clip')}; device {trainer.device}, "
        f"precision {str(trainer.precision).removeprefix('torch.')}, from step {trainer.step}"
    )


def _tell(report: StepReport, say: Callable[[str], None]) -> None:
    if report.step % TOLD_EVERY == 0:
        say(
            f"step {report.step}  {100 * report.done:.1f} %  loss {report.loss:.3f}  IoU {report.iou:.2f}  "
            f"data {1000 * report.data_seconds:.0f} ms  model {1000 * report.model_seconds:.0f} ms  "
            f"{report.clips_per_second:.2f} clips/s"
        )
