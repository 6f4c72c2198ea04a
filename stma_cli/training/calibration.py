"""What `stma calibrate` does: a model follows clips, and its confidence learns from the true overlap."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from stma.calibration import Calibration
from stma.config import SegmenterConfig
from stma.process import prepare_process
from stma.training.confidence import drawn_clips, fit, gather
from stma.training.config import CALIBRATION_DATA, FitConfig
from stma.training.pool import scan_to_train
from stma.weights import load_model, save_weights


@dataclass(frozen=True)
class ClipChoice:
    """Which clips the model follows: how many, their frames and side in pixels, and the seed that they are drawn by."""

    clips: int
    frames: int
    crop: int
    seed: int


def calibrate_weights(
    data: Path,
    model: str,
    out: Path,
    chosen: ClipChoice,
    segmenter: SegmenterConfig,
    how: FitConfig,
    threads: int,
    say: Callable[[str], None],
) -> None:
    """Write the weights of a model with a quality head that was fitted on clips of a training folder.

    Args:
        data: training folder.
        model: name or weights file.
        out: weights file to write.
        chosen: the clips.
        segmenter: how they are followed.
        how: how the head is fitted.
        threads: of the CPU.
        say: takes what it could tell before and after, line by line.

    Raises:
        StmaError: the folder or the model cannot be used, or the weights cannot be written.
    """
    prepare_process(threads)
    network = load_model(model).model
    clip = replace(CALIBRATION_DATA, crop=chosen.crop, frames=chosen.frames)
    evidence = gather(network, drawn_clips(scan_to_train(data), clip, chosen.clips, chosen.seed), segmenter)
    report = fit(network.quality, evidence, how)
    say(f"on {len(evidence.region)} masks of {chosen.clips} clips, a fifth of them kept apart:")
    say(f"  before  {_told(report.before)}")
    say(f"  after   {_told(report.after)}")
    save_weights(network, out)
    say(f"weights in {out}")


def _told(agreement: Calibration) -> str:
    right = (
        "no" if agreement.precision is None else f"{100 * agreement.precision:.0f} % of {agreement.warnings}"
    )
    found = (
        "none was lost"
        if agreement.recall is None
        else f"{100 * agreement.recall:.0f} % of the lost ones warned of"
    )
    return f"rank correlation {agreement.spearman:.2f}, {right} warnings right, {found}"
