"""`stma validate`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stma.config import MemoryConfig, SegmenterConfig
from stma.training.config import ValidationSettings
from stma_cli.commands.shared_options import (
    AdaptOption,
    DeviceOption,
    FocusOption,
    ModelOption,
    PrecisionOption,
    RefineEdgesOption,
    SizeOption,
    ThreadsOption,
    WithoutOption,
)
from stma_cli.precision import PrecisionName


def validate(
    data: Annotated[Path, typer.Argument(help="Training folder; its validation sequences are scored.")],
    model: ModelOption = "small",
    sets: Annotated[
        str,
        typer.Option(
            "--sets",
            help="With commas between: real (held-out clips), sparse (every fifth frame of them), reversed (the same "
            "clips played backward), looped (501 frames of them forward and backward), crossing, return, fast, blur, "
            "small, scale (composed of held-out objects, exact truth).",
        ),
    ] = "real",
    clips: Annotated[int, typer.Option(min=1, help="Clips of each composed set.")] = ValidationSettings.clips,
    frames: Annotated[
        int | None, typer.Option(min=3, help="Frames of each real clip.", show_default="all")
    ] = None,
    size: SizeOption = None,
    memory: Annotated[
        str,
        typer.Option(
            help="Settings of the memory to try, with commas between, e.g. capacity=2,label_window=none "
            "(the fields of MemoryConfig)."
        ),
    ] = "",
    without: WithoutOption = "",
    refine_edges: RefineEdgesOption = SegmenterConfig.refine_edges,
    adapt: AdaptOption = SegmenterConfig.adapt,
    focus: FocusOption = SegmenterConfig.focus,
    device: DeviceOption = SegmenterConfig.device,
    precision: PrecisionOption = PrecisionName(SegmenterConfig.precision),
    threads: ThreadsOption = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that share the clips and the threads; each holds a model.")
    ] = ValidationSettings.workers,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all scores to this file.", show_default=False)
    ] = None,
) -> None:
    """Score a model on clips that training never saw: J and F, identity switches, how far confidence can be trusted.

    Example: stma validate data --sets real,crossing,return --json scores.json
    """
    from rich.console import Console

    from stma.errors import SettingsError
    from stma_cli.comma_list import listed
    from stma_cli.config.field_settings import with_settings
    from stma_cli.evaluate.show_validation import print_sets
    from stma_cli.evaluate.validation import score_model
    from stma_cli.output import require_file_place
    from stma_cli.readable_json import write_json
    from stma_cli.threads import default_threads

    require_file_place("--json", json_file, ".json")
    names = listed(sets)
    if not names:
        raise SettingsError(
            f"--sets is {sets!r}, which names no set", "give one or more, such as real,crossing"
        )
    config = SegmenterConfig(
        size=size or None,
        device=device,
        precision=precision.value,
        refine_edges=refine_edges,
        adapt=adapt,
        focus=focus,
        memory=with_settings(MemoryConfig(), memory, "the memory"),
    )
    settings = ValidationSettings(
        names, clips, frames, workers=workers, threads=threads or default_threads(), sized=size is None
    )
    scored = score_model(
        data, model, listed(without), config, settings, lambda line: typer.echo(line, err=True)
    )
    print_sets(scored.sets, f"{scored.model.name} ({scored.model.sha256[:12]})", Console())
    if json_file is not None:
        head = {
            "model": scored.model.name,
            "sha256": scored.model.sha256,
            "without": without,
            "size": size,
            "refine_edges": refine_edges,
            "adapt": adapt,
            "focus": focus,
            "memory": asdict(config.memory),
        }
        write_json(json_file, {**head, "sets": [each.plain() for each in scored.sets]})
