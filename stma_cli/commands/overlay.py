"""`stma overlay`: a video with the saved masks drawn on it, without the model."""

from pathlib import Path
from typing import Annotated

import typer

from stma.errors import OutputError, SettingsError


def overlay(
    video: Annotated[Path, typer.Argument(help="Video file, or folder with one image per frame.")],
    masks: Annotated[
        Path, typer.Argument(help="Folder with one label PNG per frame, as stma segment writes it.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .mp4, or .png with --still.")],
    still: Annotated[
        int | None, typer.Option(min=0, help="Write this one frame as a PNG instead, counted from 0.")
    ] = None,
    start: Annotated[int, typer.Option(min=0, help="First frame; the first mask belongs to it.")] = 0,
    end: Annotated[
        int | None, typer.Option(min=1, help="Frame to stop before.", show_default="to the last")
    ] = None,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Strength of the tint, 0 to 1.")] = 0.5,
    outline: Annotated[bool, typer.Option("--outline/--no-outline", help="Draw outlines.")] = True,
    names: Annotated[bool, typer.Option("--names/--no-names", help="Write the names of the objects.")] = True,
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Copy the sound.")] = True,
    frame_rate: Annotated[
        str | None,
        typer.Option(
            help="Frames per second of a folder of images, such as 25 or 30000/1001.", show_default="24"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Draw saved masks on a video: tinted objects, outlines and names; times and sound stay.

    Example: stma overlay cat.mp4 cat_stma -o cat_overlay.mp4
    """
    _check_target(video, out, force, suffixes=(".png",) if still is not None else (".mp4", ".m4v", ".mov"))

    from stma_cli.progress import progress_for
    from stma_cli.rendering.overlay import OverlayRenderer
    from stma_cli.rendering.saved import write_overlay_video, write_still
    from stma_cli.saved_masks import find_masks
    from stma_cli.video import DEFAULT_FOLDER_RATE, open_video
    from stma_cli.video.source import check_range, parse_rate

    check_range(start, end)
    found = find_masks(masks)
    source = open_video(video, parse_rate(frame_rate) if frame_rate else DEFAULT_FOLDER_RATE)
    renderer = OverlayRenderer(found.names, alpha, outline, names)
    if still is not None:
        notes = write_still(source, found, out, renderer, still, start=start)
        summary = f"{out}: frame {still}"
    else:
        with progress_for(len(found.files), quiet=False) as progress:
            notes = write_overlay_video(
                source, found, out, renderer, start=start, end=end, audio=audio, on_frame=progress.advance
            )
        summary = f"{out}: {len(found.files)} frames"
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(summary)


def _check_target(video: Path, out: Path, force: bool, suffixes: tuple[str, ...]) -> None:
    """Refuse a target of the wrong kind, the video itself, or a file that exists, before any work."""
    if out.suffix.lower() not in suffixes:
        raise SettingsError(f"{out} is not a name for this output; let it end in {' or '.join(suffixes)}")
    if out.exists() and video.exists() and out.samefile(video):
        raise SettingsError(f"{out} is the video itself; choose another name with --out")
    if out.is_dir():
        raise OutputError(f"{out} is a folder; choose another name with --out")
    if out.exists() and not force:
        raise OutputError(f"{out} exists; choose another name with --out, or add --force to replace it")
