"""`stma overlay`: a video, preview or pictures from saved masks, without the model."""

from pathlib import Path
from typing import Annotated

import typer

from stma.errors import OutputError, SettingsError
from stma_cli.commands.shared_options import FrameRateOption
from stma_cli.rendering.settings import RenderSettings, Style


def overlay(
    video: Annotated[
        Path,
        typer.Argument(help="Video file, folder with one image per frame, or TIFF file of several pages."),
    ],
    masks: Annotated[
        Path, typer.Argument(help="Folder with one label PNG per frame, as stma segment writes it.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="What to write, by its ending: .mp4, .mov, .webm, a preview as .gif or .webp, or none for a "
            "folder of PNG files; .png with --still.",
        ),
    ],
    style: Annotated[
        Style, typer.Option(help="How objects are shown; a cutout is transparent around them.")
    ] = RenderSettings.style,
    objects: Annotated[
        str | None, typer.Option(help="Show only these objects, ids or names: 1,3 or person,dog.")
    ] = RenderSettings.objects,
    invert: Annotated[
        bool, typer.Option("--invert", help="Show everything but the objects.")
    ] = RenderSettings.invert,
    feather: Annotated[
        float, typer.Option(min=0, help="Pixels over which edges are soft; not for overlay and outline.")
    ] = 0,
    background: Annotated[
        str, typer.Option(help="Colour behind the objects with --style green.")
    ] = RenderSettings.background,
    still: Annotated[
        int | None, typer.Option(min=0, help="Write this one frame as a PNG instead, counted from 0.")
    ] = None,
    start: Annotated[
        int, typer.Option(min=0, help="First frame. Masks may be of the whole video or of this range.")
    ] = 0,
    end: Annotated[
        int | None, typer.Option(min=1, help="Frame to stop before.", show_default="to the last")
    ] = None,
    alpha: Annotated[
        float, typer.Option(min=0, max=1, help="Strength of the tint of an overlay, 0 to 1.")
    ] = RenderSettings.alpha,
    outline: Annotated[
        bool, typer.Option("--outline/--no-outline", help="Draw outlines in an overlay.")
    ] = RenderSettings.outline,
    names: Annotated[
        bool, typer.Option("--names/--no-names", help="Write the names of the objects.")
    ] = RenderSettings.show_names,
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Copy the sound.")] = True,
    frame_rate: FrameRateOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Show saved masks: tinted, outlined, cut out, before one colour, in focus; times and sound stay.

    Example: stma overlay cat.mp4 cat_stma -o cat.mov --style cutout --feather 2
    """
    from stma_cli.rendering.targets import Place

    settings = RenderSettings(style, objects, invert, feather, background, alpha, outline, names)
    settings.require_sense()
    place = Place(out, "--out", force)
    if still is not None:
        _require_picture(out)
    else:
        place.target(settings)
    place.require_free(video, masks, masks / "masks")

    from stma_cli.masks.saved import find_masks
    from stma_cli.progress import progress_for
    from stma_cli.rendering.saved import masks_of_range, render_saved, write_still
    from stma_cli.video.opening import open_at_rate
    from stma_cli.video.source import check_range
    from stma_cli.wording import counted, print_notes

    check_range(start, end)
    found = find_masks(masks)
    source = open_at_rate(video, frame_rate)
    found = masks_of_range(source, found, start, end)
    if still is not None:
        notes = write_still(source, found, out, settings, still, start=start)
        summary = f"{out}: frame {still}"
    else:
        with progress_for(len(found.files), quiet=False) as progress:
            notes = render_saved(
                source, found, place, settings, start=start, end=end, audio=audio, on_frame=progress.advance
            )
        summary = f"{out}: {counted(len(found.files), 'frame')}"
    print_notes(notes)
    typer.echo(summary)


def _require_picture(out: Path) -> None:
    if out.suffix.lower() != ".png":
        raise SettingsError(f"{out} is not a name for a picture", "let it end in .png")
    if out.is_dir():
        raise OutputError(f"{out} is a folder", "choose another name with --out")
