"""`stma bench`."""

from pathlib import Path
from typing import Annotated

import typer

from stma.config import SegmenterConfig
from stma_cli.bench.settings import SHORTEST_RUN
from stma_cli.commands.shared_options import (
    DeviceOption,
    FocusOption,
    ModelOption,
    RefineEdgesOption,
    ThreadsOption,
)
from stma_cli.precision import PrecisionName

PLOTS = (".png", ".svg", ".pdf")


def bench(
    model: ModelOption = "small",
    objects: Annotated[str, typer.Option(help="Numbers of objects, with commas between.")] = "1,3,10",
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Shorter sides of the 16:9 frames in pixels, such as 360,480,720,1080.",
            show_default="480, or 96 with --long",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(help=f"Number formats of the model: {', '.join(PrecisionName)}, with commas between."),
    ] = SegmenterConfig.precision,
    device: DeviceOption = SegmenterConfig.device,
    threads: ThreadsOption = None,
    chunk: Annotated[
        int, typer.Option(min=1, help="Frames the model takes at once.")
    ] = SegmenterConfig.chunk,
    refine_edges: RefineEdgesOption = SegmenterConfig.refine_edges,
    focus: FocusOption = SegmenterConfig.focus,
    graphs: Annotated[
        bool,
        typer.Option("--graphs/--no-graphs", help="With CUDA replay a frame's step as one graph, or not."),
    ] = SegmenterConfig.graphs,
    frames: Annotated[int, typer.Option(min=1, help="Frames per repeat; 20 or more for a fair mean.")] = 20,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats, for median and quartiles.")] = 5,
    pipeline: Annotated[
        bool,
        typer.Option("--pipeline/--model-only", help="Also measure decoding, writing and all together."),
    ] = True,
    profile: Annotated[
        bool, typer.Option("--profile", help="List the ten most expensive operations of each setting.")
    ] = False,
    long: Annotated[
        int | None,
        typer.Option(
            metavar="FRAMES",
            min=SHORTEST_RUN,
            help="Instead, run so many frames, such as 5000, and show that time and memory stay the same.",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all measurements to this file.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw time per frame over objects, or what --long found: .png, .svg or .pdf."
        ),
    ] = None,
) -> None:
    """Measure how fast stma is on this machine, on synthetic frames.

    Example: stma bench --objects 1,3,10 --sizes 480,1080 --json bench.json

    Example: stma bench --long 5000 --objects 1,3 --plot flat.png
    """
    from rich.console import Console

    from stma.errors import SettingsError
    from stma_cli.bench import settings as options
    from stma_cli.output import require_file_place
    from stma_cli.readable_json import write_json

    if plot is not None and plot.suffix.lower() not in PLOTS:
        raise SettingsError(f"--plot {plot} has no known form", "let the name end in .png, .svg or .pdf")
    require_file_place("--json", json_file, ".json")
    require_file_place("--plot", plot, *PLOTS)
    settings = options.BenchSettings(
        model=model,
        objects=options.whole_numbers("--objects", objects, 1, options.MOST_OBJECTS, "1,3,10"),
        sizes=options.whole_numbers(
            "--sizes",
            sizes or ("480" if long is None else "96"),
            options.SMALLEST_SIDE,
            options.LARGEST_SIDE,
            "480,1080",
        ),
        precisions=options.precisions(precision),
        device=device,
        threads=threads,
        chunk=chunk,
        refine_edges=refine_edges,
        focus=focus,
        graphs=graphs,
        frames=frames,
        repeats=repeats,
        pipeline=pipeline,
        profile=profile,
    )
    if long is not None and (profile or len(settings.precisions) > 1):
        raise SettingsError(
            "--long takes one number format and lists no operations",
            "give one --precision, and leave --profile out",
        )
    from stma_cli.bench import show

    def say(line: str) -> None:
        typer.echo(line, err=True)

    if long is not None:
        from stma_cli.bench.long import run_long

        found = run_long(settings, long, say)
        show.print_long(found, Console())
        if json_file is not None:
            write_json(json_file, found.plain())
        if plot is not None:
            show.write_long_plot(found, plot)
        return
    from stma_cli.bench.run import run_bench

    result = run_bench(settings, say)
    show.print_result(result, Console())
    if json_file is not None:
        write_json(json_file, result.plain())
    if plot is not None:
        show.write_plot(result, plot)
