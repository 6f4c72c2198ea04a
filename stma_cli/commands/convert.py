"""`stma convert`."""

from pathlib import Path
from typing import Annotated

import typer

from stma.errors import SettingsError
from stma_cli.mask_formats import Format


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="File or folder with the masks of a clip; for coco and youtube-vis also a folder of clips."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, or a new or empty folder.")],
    to: Annotated[Format, typer.Option("--to", help="Format to write.")],
    source_format: Annotated[
        Format | None,
        typer.Option("--from", help="Format of SOURCE.", show_default="found out from the content"),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Size of the pictures in pixels, such as 1280x720; YOLO labels lack it."),
    ] = None,
    clip: Annotated[
        str | None,
        typer.Option(help="Which video of a YouTube-VIS file with several: its folder or id."),
    ] = None,
    simplify: Annotated[
        float,
        typer.Option(min=0, max=20, help="Pixels by which polygons may be simplified; 0 keeps every pixel."),
    ] = 0.0,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Convert masks of a clip between DAVIS PNG, binary PNG, COCO, YouTube-VIS, NPZ, labelme, YOLO and CVAT.

    Ids, names and frames are kept as far as the format can; notes say what it cannot.

    Example: stma convert results/masks -o coco.json --to coco
    """
    from stma_cli.convert.run import Conversion, convert_masks
    from stma_cli.progress import progress_for
    from stma_cli.wording import counted, print_notes

    wanted = Conversion(source, out, to, source_format, _size_of(size), clip, simplify, force)
    with progress_for(None, quiet=False) as progress:
        done = convert_masks(wanted, progress.advance)
    print_notes(done.notes)
    clips = f" of {done.clips} clips" if done.clips > 1 else ""
    what = f"{counted(done.frames, 'frame')}, {counted(len(done.names), 'object')}{clips}"
    typer.echo(f"{out}: {what} ({done.source_format} to {to})")


def _size_of(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise SettingsError(f"--size {text} is no size", "give width and height, as in 1280x720")
    return int(width), int(height)
