"""`stma segment`."""

from pathlib import Path
from typing import Annotated

import typer

from stma.postprocess.config import PostprocessConfig
from stma_cli.commands.shared_options import (
    RENDERING,
    AdaptOption,
    ChunkOption,
    DeviceOption,
    DirectionOption,
    FillHolesOption,
    FirstMaskOnlyOption,
    FrameRateOption,
    GrowOption,
    LargestPartOption,
    ModelOption,
    NoAudioOption,
    ObjectsOption,
    OverlayObjectsOption,
    PrecisionOption,
    RefineEdgesOption,
    RemoveSpecksOption,
    SizeOption,
    SmoothOption,
    StyleOption,
    ThreadsOption,
)
from stma_cli.rendering.settings import RenderSettings
from stma_cli.segment.settings import INTERRUPTED, SegmentInterrupted, SegmentSettings


def segment(
    video: Annotated[
        Path,
        typer.Argument(
            help="Video file, folder of frames (jpg, png, webp, bmp, tif), or TIFF file of several pages."
        ),
    ],
    mask: Annotated[
        list[str] | None,
        typer.Option(
            "--mask",
            help="Objects of the first frame: PNG (indexed, black and white, exact colours) or JSON "
            "(labelme, COCO, stma). Repeat it: NAME=FILE for one object per file, NUMBER=FILE for another "
            "frame, NUMBER:NAME=FILE for both. Or give a folder of masks, each named after its frame: 00420.png. "
            "Frames count from 0 in the whole video, also with --start.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="New or empty folder for the masks.",
            show_default="<name of the video>_stma in the current folder",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            help="Also show the objects, by the ending of the name: .mp4, .mov, .webm, a preview as .gif or .webp, "
            "or none for a folder of PNG files."
        ),
    ] = SegmentSettings.overlay,
    soft: Annotated[
        Path | None,
        typer.Option(
            help="Also write how likely each object is, to this folder: in one folder per id an 8-bit grey PNG per "
            "frame."
        ),
    ] = SegmentSettings.soft,
    style: StyleOption = RenderSettings.style,
    overlay_objects: OverlayObjectsOption = RenderSettings.objects,
    invert: Annotated[
        bool,
        typer.Option(
            "--invert", rich_help_panel=RENDERING, help="Show everything but the objects in the overlay."
        ),
    ] = RenderSettings.invert,
    feather: Annotated[
        float,
        typer.Option(
            min=0,
            rich_help_panel=RENDERING,
            help="Pixels over which edges are soft; not for the styles overlay and outline.",
        ),
    ] = 0,
    background: Annotated[
        str,
        typer.Option(rich_help_panel=RENDERING, help="Colour behind the objects with --style green."),
    ] = RenderSettings.background,
    device: DeviceOption = SegmentSettings.device,
    precision: PrecisionOption = SegmentSettings.precision,
    size: SizeOption = SegmentSettings.size,
    chunk: ChunkOption = SegmentSettings.chunk,
    refine_edges: RefineEdgesOption = SegmentSettings.refine_edges,
    adapt: AdaptOption = SegmentSettings.adapt,
    threads: ThreadsOption = SegmentSettings.threads,
    start: Annotated[
        str, typer.Option(help="First frame: its number from 0, or a time, 65.2s or 1:05.2.")
    ] = str(SegmentSettings.start),
    end: Annotated[
        str | None, typer.Option(help="Frame to stop before, or its time.", show_default="to the last")
    ] = None,
    frame_rate: FrameRateOption = SegmentSettings.frame_rate,
    direction: DirectionOption = SegmentSettings.direction,
    objects: ObjectsOption = SegmentSettings.objects,
    until: Annotated[
        list[str] | None,
        typer.Option(
            "--until",
            help="Follow an object only up to the frame before this one: ID=FRAME or NAME=FRAME, FRAME a number or a "
            "time as of --start. Repeat it.",
            show_default=False,
        ),
    ] = None,
    first_mask_only: FirstMaskOnlyOption = SegmentSettings.first_mask_only,
    model: ModelOption = SegmentSettings.model,
    force: Annotated[
        bool,
        typer.Option("--force", help="Write into a folder with files, replacing those of the same name."),
    ] = SegmentSettings.force,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the interrupted run in --out, exactly; start where there is none."
        ),
    ] = SegmentSettings.resume,
    checkpoint: Annotated[
        int, typer.Option(min=1, help="Frames between the states that --resume can go on from.")
    ] = SegmentSettings.checkpoint,
    states: Annotated[
        int,
        typer.Option(
            min=0,
            help="Memory states that stay in --out, spread over the video, so that a corrected mask need not begin "
            "at the first frame.",
        ),
    ] = SegmentSettings.states,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON on stdout, everything else on stderr.")
    ] = False,
    no_audio: NoAudioOption = not SegmentSettings.audio,
    smooth: SmoothOption = PostprocessConfig.smooth,
    remove_specks: RemoveSpecksOption = PostprocessConfig.remove_specks,
    fill_holes: FillHolesOption = PostprocessConfig.fill_holes,
    largest_part: LargestPartOption = PostprocessConfig.largest_part,
    grow: GrowOption = PostprocessConfig.grow,
) -> None:
    """Follow the marked objects through a video: one mask per frame, and an overlay to look at.

    Example: stma segment cat.mp4 --mask cat.png --overlay cat_overlay.mp4
    """
    import json

    from stma_cli.segment.resume import after_ctrl_c
    from stma_cli.segment.run import segment_video
    from stma_cli.segment.until import with_frame_numbers
    from stma_cli.video.moments import frame_numbers
    from stma_cli.wording import counted, labelled

    def say(line: str) -> None:
        typer.echo(line, err=as_json)

    begins, ends = frame_numbers(video, frame_rate, start=start, end=end)
    settings = SegmentSettings(
        video=video,
        masks=tuple(mask or ()),
        out=out or Path(f"{video.resolve().name if video.is_dir() else video.stem}_stma"),
        overlay=overlay,
        soft=soft,
        rendering=RenderSettings(style, overlay_objects, invert, feather, background),
        device=device,
        precision=precision,
        model=model,
        size=size,
        chunk=chunk,
        refine_edges=refine_edges,
        adapt=adapt,
        threads=threads,
        start=begins or 0,
        end=ends,
        objects=objects,
        until=with_frame_numbers(until or (), video, frame_rate),
        first_mask_only=first_mask_only,
        frame_rate=frame_rate,
        direction=direction,
        audio=not no_audio,
        force=force,
        quiet=as_json,
        postprocess=PostprocessConfig(smooth, remove_specks, fill_holes, largest_part, grow),
        resume=resume,
        checkpoint=checkpoint,
        states=states,
    )
    try:
        result = segment_video(settings, say)
    except SegmentInterrupted as interrupt:
        typer.echo(f"stopped: {interrupt.frames} masks in {interrupt.out} are complete.", err=True)
        if interrupt.command is not None:
            typer.echo(f"go on with: {interrupt.command}", err=True)
        if as_json:
            summary = {"interrupted": True, "frames": interrupt.frames, "masks": str(interrupt.out)}
            typer.echo(json.dumps(summary | {"resume": interrupt.command}))
        raise typer.Exit(INTERRUPTED) from None
    except KeyboardInterrupt:
        typer.echo(f"stopped: {after_ctrl_c(settings)}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps(result.summary()))
        return
    if result.computed:
        frames = counted(result.frames, "frame")
        done = frames if result.computed == result.frames else f"{result.computed} of {frames}"
        say(labelled("done", f"{done} in {result.seconds:.1f} s, {result.frames_per_second:.2f} frames/s"))
    say(labelled("masks", result.out))
    if result.overlay is not None:
        say(labelled("overlay", result.overlay))
    else:
        say(labelled("to see", settings.overlay_command(result.out, *result.overlay_range)))
