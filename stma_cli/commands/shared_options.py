"""Options that several commands share: what the model does and what happens to its masks afterwards."""

from typing import Annotated

import typer

from stma_cli.direction import Direction
from stma_cli.precision import PrecisionName
from stma_cli.rendering.settings import Style
from stma_cli.threads import usable_cores

AFTERWARDS = "Post-processing"
RENDERING = "Look of the overlay"


def frame_rate_or_none(text: str | None) -> str | None:
    """Return a frame rate as typed.

    Raises:
        SettingsError: it is none.
    """
    from stma_cli.video.opening import parse_rate

    if text is not None:
        parse_rate(text)
    return text


def at_most_usable(threads: int | None) -> int | None:
    """Return a number of threads, lowered to the usable cores with a note: more wait for each other, and take long."""
    cores = usable_cores()
    if threads is None or threads <= cores:
        return threads
    typer.echo(
        f"note: --threads {threads} is lowered to {cores}, as this process may use no more cores", err=True
    )
    return cores


StyleOption = Annotated[
    Style,
    typer.Option(
        rich_help_panel=RENDERING,
        help="How --overlay shows objects; a cutout is transparent around them.",
    ),
]
OverlayObjectsOption = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=RENDERING,
        help="Only these objects in the overlay, ids or names; all are followed.",
    ),
]
NoAudioOption = Annotated[bool, typer.Option("--no-audio", help="Leave the sound out of the overlay.")]
DirectionOption = Annotated[
    Direction,
    typer.Option(
        help="Which way objects are followed from annotated frames; with both, each object comes from its nearer "
        "annotation."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="Where the model runs: auto, cpu, cuda, cuda:N or mps.")]
PrecisionOption = Annotated[PrecisionName, typer.Option(help="Number format of the model.")]
SizeOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Shorter side in pixels that the model works at; smaller videos are enlarged, up to three times. "
        "0 for the video's own.",
        show_default="480; 600 where the objects are small",
    ),
]
RefineEdgesOption = Annotated[
    bool,
    typer.Option(
        "--refine-edges/--no-refine-edges",
        help="Let outlines follow the colours of the frame at its full size, or upsample the masks as they are.",
    ),
]
AdaptOption = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="STEPS",
        help="Learn from the first marked frame before following its objects: better masks where they are hard to "
        "tell from what is around them. 20 is a good number, a second or less each on a CPU. 0 = off.",
    ),
]
FocusOption = Annotated[
    bool,
    typer.Option(
        "--focus/--no-focus",
        help="Look only where an object may be, or everywhere. Only a CPU does; masks hardly differ.",
    ),
]
ChunkOption = Annotated[
    int, typer.Option(min=1, help="Frames the model takes at once; same result, more memory.")
]
ObjectsOption = Annotated[
    str | None, typer.Option(help="Only these objects of the masks, ids or names: 1,3 or person,dog.")
]
FirstMaskOnlyOption = Annotated[
    bool,
    typer.Option(
        "--first-mask-only",
        help="Use the first mask of each object alone; for scores, where all frames have one. Later ones count as "
        "corrections otherwise.",
    ),
]
FrameRateOption = Annotated[
    str | None,
    typer.Option(
        callback=frame_rate_or_none,
        help="Frames per second of images, such as 25 or 30000/1001; a video keeps its own times.",
        show_default="24",
    ),
]
WithoutOption = Annotated[
    str,
    typer.Option(
        help="Parts of the network to switch off: readout, stml, object-tokens, fusion, newest, decoder; commas "
        "between."
    ),
]
ModelOption = Annotated[str, typer.Option(help="A name of `stma models`, or a file of weights.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        callback=at_most_usable,
        help="CPU threads of the model, no more than the usable cores.",
        show_default="all cores, or OMP_NUM_THREADS",
    ),
]
SmoothOption = Annotated[
    int,
    typer.Option(
        min=0,
        help="Frames before and after each frame that vote on its pixels; takes out flicker. 0 = off.",
        rich_help_panel=AFTERWARDS,
    ),
]
RemoveSpecksOption = Annotated[
    int,
    typer.Option(
        min=0,
        help="Remove parts of an object with fewer pixels, never its largest part. 0 = off.",
        rich_help_panel=AFTERWARDS,
    ),
]
FillHolesOption = Annotated[
    int,
    typer.Option(
        min=0,
        help="Fill holes of up to so many pixels in an object. 0 = off.",
        rich_help_panel=AFTERWARDS,
    ),
]
LargestPartOption = Annotated[
    bool,
    typer.Option(
        "--largest-part", help="Keep only the largest part of each object.", rich_help_panel=AFTERWARDS
    ),
]
GrowOption = Annotated[
    int,
    typer.Option(
        help="Grow each object by so many pixels into the background; negative numbers shrink it.",
        rich_help_panel=AFTERWARDS,
    ),
]
