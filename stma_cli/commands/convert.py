"""`stma convert`: masks of a whole clip from one annotation format to another."""

from pathlib import Path

import typer

from stma.errors import SettingsError
from stma_cli.convert.formats import Format


def convert(
    source: Path = typer.Argument(
        ..., metavar="SOURCE", help="File or folder with the masks of one clip.", show_default=False
    ),
    out: Path = typer.Option(
        ..., "--out", "-o", help="File to write, or a new or empty folder.", show_default=False
    ),
    to: Format = typer.Option(..., "--to", help="Format to write.", show_default=False),
    source_format: Format | None = typer.Option(
        None, "--from", help="Format of SOURCE.", show_default="found out from the content"
    ),
    size: str | None = typer.Option(
        None,
        help="Size of the pictures in pixels, such as 1280x720; YOLO labels lack it.",
        show_default=False,
    ),
    clip: str | None = typer.Option(
        None, help="Which video of a YouTube-VIS file with several: its folder or id.", show_default=False
    ),
    simplify: float = typer.Option(
        0.0, min=0, max=20, help="Pixels by which polygons may be simplified; 0 keeps every pixel."
    ),
    force: bool = typer.Option(False, "--force", help="Replace the file if it exists."),
) -> None:
    """Convert masks between DAVIS PNG, binary PNG, COCO, YouTube-VIS, NPZ, labelme, YOLO and CVAT.

    Ids, names and frames are kept as far as the format can; notes say what it cannot. Example:
    stma convert results/masks -o coco.json --to coco
    """
    from stma_cli.convert.run import Conversion, convert_masks
    from stma_cli.progress import progress_for

    wanted = Conversion(source, out, to, source_format, _size_of(size), clip, simplify, force)
    with progress_for(None, quiet=False) as progress:
        done = convert_masks(wanted, progress.advance)
    for note in done.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"{out}: {done.frames} frames, {len(done.names)} objects ({done.source_format} to {to})")


def _size_of(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise SettingsError(f"--size {text} is no size: give width and height, as in 1280x720.")
    return int(width), int(height)
