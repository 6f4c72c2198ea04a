"""`stma calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from stma.config import USUAL_SIZE, SegmenterConfig
from stma.training.config import CALIBRATION_DATA, FitConfig
from stma_cli.commands.shared_options import DeviceOption, ModelOption, ThreadsOption


def calibrate(
    data: Annotated[Path, typer.Argument(help="Training folder; its training clips and stills are used.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Weights file to write.")],
    model: ModelOption = "small",
    clips: Annotated[int, typer.Option(min=10, help="Clips to follow; a fifth of them only judges.")] = 60,
    frames: Annotated[int, typer.Option(min=2, help="Frames of each clip.")] = CALIBRATION_DATA.frames,
    crop: Annotated[int, typer.Option(min=64, help="Side of the clips in pixels.")] = CALIBRATION_DATA.crop,
    size: Annotated[
        int, typer.Option(min=0, help="Working size: shorter side in pixels; 0 for the clips' own.")
    ] = USUAL_SIZE,
    visible: Annotated[
        bool,
        typer.Option(
            "--visible",
            help="Teach it about masks that can be seen, too: it warns of more that are lost, but ranks worse.",
        ),
    ] = FitConfig.visible,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the clips, and of which of them judge.")
    ] = FitConfig.seed,
    device: DeviceOption = SegmenterConfig.device,
    threads: ThreadsOption = None,
) -> None:
    """Teach a trained model how far to trust its masks; the masks stay what they are.

    The model follows clips of the training folder, in which objects come, go and are lost, and its confidence learns
    from the true overlap: whether an object is away or was missed, where nothing was found.

    Example: stma calibrate data --model runs/mine/best.safetensors --out mine.safetensors
    """
    from stma_cli.output import require_file_place
    from stma_cli.threads import default_threads
    from stma_cli.training.calibration import ClipChoice, calibrate_weights

    require_file_place("--out", out, ".safetensors")
    calibrate_weights(
        data,
        model,
        out,
        ClipChoice(clips, frames, crop, seed),
        SegmenterConfig(size=size or None, device=device),
        FitConfig(visible=visible, seed=seed),
        threads or default_threads(),
        typer.echo,
    )
