"""`stma batch`."""

from pathlib import Path
from typing import Annotated

import typer

from stma.postprocess.config import PostprocessConfig
from stma_cli.batch.engine_name import EngineName
from stma_cli.batch.settings import BatchSettings
from stma_cli.commands.shared_options import (
    AdaptOption,
    ChunkOption,
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
    at_most_usable,
)
from stma_cli.rendering.settings import RenderSettings
from stma_cli.segment.settings import SegmentSettings

WORKERS = "Workers"


def batch(
    clips: Annotated[
        Path, typer.Argument(help="Folder with video files and folders of frames, at any depth.")
    ],
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a mask for each clip, of the same path or name: PNG or JSON as for `stma segment`, "
            "or a folder of masks. Or a manifest, .csv or .json.",
            show_default="beside the clips",
        ),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            help="Folder for the results, one folder per clip as in CLIPS; or a URL such as s3://bucket/run.",
        ),
    ] = "stma_batch",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show pairs, frame counts, and the time and memory it may take; write nothing."
        ),
    ] = False,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also draw overlay.mp4 in each folder of results.")
    ] = BatchSettings.overlay,
    style: StyleOption = RenderSettings.style,
    overlay_objects: OverlayObjectsOption = RenderSettings.objects,
    no_audio: NoAudioOption = not SegmentSettings.audio,
    engine: Annotated[
        EngineName, typer.Option(rich_help_panel=WORKERS, help="Workers on this machine or on a Ray cluster.")
    ] = BatchSettings.engine,
    devices: Annotated[
        str,
        typer.Option(
            rich_help_panel=WORKERS,
            help="One worker per device: cuda:0,cuda:1 or cpu. Not with --engine ray.",
            show_default="all GPUs, or cpu",
        ),
    ] = "",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            rich_help_panel=WORKERS,
            help="Workers that divide the cores, or Ray actors.",
            show_default="one per GPU, or per core with two clips and 2 GB of memory for each",
        ),
    ] = BatchSettings.workers,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            rich_help_panel=WORKERS,
            help="CPU threads of each worker, on this machine no more than the usable cores.",
            show_default="equal shares of the cores",
        ),
    ] = BatchSettings.threads,
    address: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=WORKERS,
            help="Of a running Ray cluster; auto for the one of this machine.",
            show_default="a new one here",
        ),
    ] = BatchSettings.address,
    retries: Annotated[
        int,
        typer.Option(min=0, rich_help_panel=WORKERS, help="More attempts for a clip whose worker dies."),
    ] = BatchSettings.retries,
    precision: PrecisionOption = SegmentSettings.precision,
    size: SizeOption = SegmentSettings.size,
    chunk: ChunkOption = SegmentSettings.chunk,
    refine_edges: RefineEdgesOption = SegmentSettings.refine_edges,
    adapt: AdaptOption = SegmentSettings.adapt,
    frame_rate: FrameRateOption = SegmentSettings.frame_rate,
    direction: DirectionOption = SegmentSettings.direction,
    objects: ObjectsOption = SegmentSettings.objects,
    first_mask_only: FirstMaskOnlyOption = SegmentSettings.first_mask_only,
    model: ModelOption = SegmentSettings.model,
    checkpoint: Annotated[
        int, typer.Option(min=1, help="Frames between the states that an interrupted clip goes on from.")
    ] = SegmentSettings.checkpoint,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Do every clip again, also in folders with files of others, replacing those of the same name.",
        ),
    ] = BatchSettings.force,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON on stdout, everything else on stderr.")
    ] = False,
    smooth: SmoothOption = PostprocessConfig.smooth,
    remove_specks: RemoveSpecksOption = PostprocessConfig.remove_specks,
    fill_holes: FillHolesOption = PostprocessConfig.fill_holes,
    largest_part: LargestPartOption = PostprocessConfig.largest_part,
    grow: GrowOption = PostprocessConfig.grow,
) -> None:
    """Segment many clips: each as with `stma segment`, whatever happens to the others.

    Run it again to do what is missing or has changed; interrupted clips go on where they stood. The exit status is
    1 when a clip failed; batch.json among the results says what happened to each.

    Example: stma batch clips --masks masks -o results
    """
    from rich.console import Console

    from stma_cli.batch.dry_run import preview
    from stma_cli.batch.run import run_batch
    from stma_cli.batch.show import preview_json, print_preview, print_result, progress_line, result_json
    from stma_cli.comma_list import listed
    from stma_cli.wording import labelled, print_error

    def say(line: str) -> None:
        typer.echo(line, err=as_json)

    settings = BatchSettings(
        clips=clips,
        masks=masks or clips,
        out=out,
        template=SegmentSettings(
            video=clips,
            masks=(),
            out=Path(),
            rendering=RenderSettings(style, overlay_objects),
            audio=not no_audio,
            precision=precision,
            model=model,
            size=size,
            chunk=chunk,
            refine_edges=refine_edges,
            adapt=adapt,
            frame_rate=frame_rate,
            direction=direction,
            objects=objects,
            first_mask_only=first_mask_only,
            checkpoint=checkpoint,
            states=0,  # those of hundreds of clips would fill the disk
            postprocess=PostprocessConfig(smooth, remove_specks, fill_holes, largest_part, grow),
        ),
        engine=engine,
        devices=listed(devices),
        workers=workers,
        threads=at_most_usable(threads) if engine is EngineName.LOCAL else threads,
        address=address,
        retries=retries,
        overlay=overlay,
        force=force,
    )
    console = Console(stderr=as_json)
    if dry_run:
        shown = preview(settings)
        print_preview(shown, console)
        if as_json:
            typer.echo(preview_json(shown))
        raise typer.Exit(int(shown.failed))
    result = run_batch(settings, say, lambda outcome, number, jobs: say(progress_line(outcome, number, jobs)))
    print_result(result, console)
    if result.unwritten:
        print_error(result.unwritten)
    if result.interrupted:
        say(labelled("stopped", "run the same command to go on"))
    if as_json:
        typer.echo(result_json(result))
    raise typer.Exit(result.exit_code)
