"""`stma calibrate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stma_cli.commands.model_options import DeviceOption, ModelOption, ThreadsOption

if TYPE_CHECKING:
    from stma.calibration import Calibration


def calibrate(
    data: Annotated[Path, typer.Argument(help="Training folder; its training clips and stills are used.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Weights file to write.")],
    model: ModelOption = "small",
    clips: Annotated[int, typer.Option(min=10, help="Clips to follow; a fifth of them only judges.")] = 60,
    frames: Annotated[int, typer.Option(min=2, help="Frames of each clip.")] = 30,
    crop: Annotated[int, typer.Option(min=64, help="Side of the clips in pixels.")] = 320,
    size: Annotated[
        int, typer.Option(min=0, help="Working size: shorter side in pixels; 0 for the clips' own.")
    ] = 480,
    visible: Annotated[
        bool,
        typer.Option(
            "--visible",
            help="Teach it about masks that can be seen, too: it warns of more that are lost, but ranks worse.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the clips, and of which of them judge.")] = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Teach a trained model how far to trust its masks; the masks stay what they are.

    The model follows clips of the training folder, in which objects come, go and are lost, and its confidence learns
    from the true overlap: whether an object is away or was missed, where nothing was found.

    Example: stma calibrate data --model runs/mine/best.safetensors --out mine.safetensors
    """
    from dataclasses import replace

    from stma.config import SegmenterConfig
    from stma.process import prepare_process
    from stma.training.confidence import CALIBRATION_DATA, FitConfig, drawn_clips, fit, gather
    from stma.training.pool import scan_to_train
    from stma.weights import load_model, save_weights
    from stma_cli.output import require_file_place
    from stma_cli.threads import default_threads
    from stma_cli.wording import counted

    require_file_place("--out", out, ".safetensors")
    prepare_process(threads or default_threads())
    network = load_model(model).model
    drawn = drawn_clips(scan_to_train(data), replace(CALIBRATION_DATA, crop=crop, frames=frames), clips, seed)
    evidence = gather(network, drawn, SegmenterConfig(size=size or None, device=device))
    report = fit(network.quality, evidence, FitConfig(visible=visible, seed=seed))
    typer.echo(
        f"on {counted(len(evidence.region), 'mask')} of {counted(clips, 'clip')}, a fifth of them kept apart:"
    )
    typer.echo(f"  before  {_told(report.before)}")
    typer.echo(f"  after   {_told(report.after)}")
    save_weights(network, out)
    typer.echo(f"weights in {out}")


def _told(agreement: "Calibration") -> str:
    right = (
        "no" if agreement.precision is None else f"{100 * agreement.precision:.0f} % of {agreement.warnings}"
    )
    found = (
        "none was lost"
        if agreement.recall is None
        else f"{100 * agreement.recall:.0f} % of the lost ones warned of"
    )
    return f"rank correlation {agreement.spearman:.2f}, {right} warnings right, {found}"
