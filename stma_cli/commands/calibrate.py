"""`stma calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from stma_cli.commands.model_options import DeviceOption, ModelOption, ThreadsOption


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
    from stma.config import SegmenterConfig
    from stma.training.confidence import FitConfig
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
