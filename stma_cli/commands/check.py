"""`stma check`."""

from pathlib import Path
from typing import Annotated

import typer


def check(
    video: Annotated[
        Path,
        typer.Argument(
            help="Video file, folder of frames (jpg, png, webp, bmp, tif), or TIFF file of several pages."
        ),
    ],
    mask: Annotated[
        list[str] | None,
        typer.Option(
            "--mask", help="Masks, given as for `stma segment`; can be repeated.", show_default=False
        ),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(
            help="Write a repaired copy of the one mask to this new file, PNG or JSON like the mask; that stays."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Read only the header and the first 30 frames of the video.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say what is wrong with a video and its masks, and how to mend it, without running the model.

    The exit status is 2 when there is an error, which `stma segment` would refuse, else 0.

    Example: stma check cat.mp4 --mask cat.png --fix cat_repaired.png
    """
    from rich.console import Console

    from stma_cli.check.run import run_check
    from stma_cli.check.show import json_text, print_result

    result = run_check(video, tuple(mask or ()), quick, fix)
    if as_json:
        typer.echo(json_text(result))
    else:
        print_result(result, Console())
    if result.failed:
        raise typer.Exit(2)
