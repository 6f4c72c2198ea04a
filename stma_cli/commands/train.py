"""`stma train`."""

from pathlib import Path
from typing import Annotated

import typer

from stma.config import USUAL_SIZE, SegmenterConfig
from stma.training.config import DataConfig, LossConfig, TrainConfig
from stma_cli.commands.shared_options import DeviceOption, WithoutOption, at_most_usable


def _as_typed(between: tuple[float, float]) -> str:
    """A range as `_range` reads it."""
    return ",".join(f"{end:g}" for end in between)


def train(
    data: Annotated[Path, typer.Argument(help="Folder with video/, still/, plain/ and splits.json.")],
    run: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of checkpoints and logs; a run in it is resumed.")
    ] = Path("runs/small"),
    model: Annotated[str, typer.Option(help="Architecture: small or tiny.")] = TrainConfig.model,
    network: Annotated[
        str,
        typer.Option(
            help="Another shape of that architecture, with commas between, e.g. stml_blocks=3,widths=48/96/192 "
            "(the fields of ModelConfig)."
        ),
    ] = "",
    without: WithoutOption = "",
    initial_weights: Annotated[
        str | None,
        typer.Option("--init", help="Shipped model or weights file to go on from.", show_default="random"),
    ] = None,
    renew: Annotated[
        str | None,
        typer.Option(help="With --init: modules that start at random all the same, e.g. stml,decoder.mix8."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(help="The modules that learn, all others frozen, e.g. quality.", show_default="all"),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="End after so many steps.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="End after so many minutes of training, resumed time included.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Clips per step and process.")] = TrainConfig.batch,
    uses: Annotated[
        int,
        typer.Option(
            min=1,
            help="Times that a clip is learned from, mirrored half of the later times; more than 1 where the log shows "
            "that data takes longer than the model.",
        ),
    ] = TrainConfig.uses,
    crop: Annotated[
        int, typer.Option(min=64, help="Side of the training crops, a multiple of 16.")
    ] = DataConfig.crop,
    frames: Annotated[int, typer.Option(min=2, help="Frames per clip.")] = DataConfig.frames,
    scored_frames: Annotated[
        int,
        typer.Option(
            min=1, help="Of them, frames at the end that are learned from; those before only fill the memory."
        ),
    ] = LossConfig.scored_frames,
    scored_windows: Annotated[
        int,
        typer.Option(
            min=1, help="Times that so many frames are learned from, with watched ones before each."
        ),
    ] = LossConfig.scored_windows,
    windowed: Annotated[
        bool,
        typer.Option(
            "--windowed",
            help="Frames that are learned from read labels near by alone, as those of a video do.",
        ),
    ] = LossConfig.windowed,
    disturbed: Annotated[
        float, typer.Option(min=0, max=1, help="Share of remembered masks that are damaged.")
    ] = LossConfig.disturbed_share,
    learning_rate: Annotated[float, typer.Option(help="Peak of the schedule.")] = TrainConfig.learning_rate,
    ema: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the averaged weights that a step keeps; 0 for no average."),
    ] = TrainConfig.ema,
    embedding_rate: Annotated[
        float, typer.Option(min=0, help="Factor on the embedding's learning rate; 0 freezes it.")
    ] = TrainConfig.embedding_rate,
    fixed_statistics: Annotated[
        bool,
        typer.Option("--fixed-statistics", help="With --init: batch norms keep the statistics they have."),
    ] = TrainConfig.fixed_statistics,
    statistics_until: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of the run after which batch norms keep the statistics they then have."
        ),
    ] = TrainConfig.statistics_until,
    hard_pixels: Annotated[
        float,
        typer.Option(min=0.01, max=1, help="Share of hardest pixels in the loss from 70 % of the run on."),
    ] = TrainConfig.hard_pixels[1],
    region_weight: Annotated[
        float, typer.Option(min=0, help="Weight of the loss on dense correspondence.")
    ] = LossConfig.region_weight,
    label_sharpness: Annotated[
        str,
        typer.Option(help="Range that the sharpness of the labels is drawn from, as the decoder reads them."),
    ] = _as_typed(LossConfig.label_sharpness),
    readout_sharpness: Annotated[str, typer.Option(help="The same for the ID association.")] = _as_typed(
        LossConfig.readout_sharpness
    ),
    real_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of clips from real video.")
    ] = DataConfig.real_share,
    max_objects: Annotated[
        int,
        # a label is a byte, of which 255 is what is not followed
        typer.Option(min=1, max=254, help="Objects that are followed in a clip, at most."),
    ] = DataConfig.max_objects,
    max_gap: Annotated[
        int, typer.Option(min=1, help="Largest step between two frames of a clip.")
    ] = DataConfig.max_gap,
    blur: Annotated[
        float, typer.Option(min=0, max=1, help="Share of synthetic clips that blur along their motion.")
    ] = DataConfig.blur_probability,
    bars: Annotated[
        float, typer.Option(min=0, max=1, help="Share of clips in which bars pass in front of all.")
    ] = DataConfig.bars_probability,
    shadows: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pasted objects that cast a shadow.")
    ] = DataConfig.shadow_probability,
    moving: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of pasted objects cut from real clips, with their motion."),
    ] = DataConfig.moving_probability,
    look_alikes: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of real clips in which an object's twin moves beside it, and of composed ones alike.",
        ),
    ] = DataConfig.look_alike_probability,
    absences: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pasted objects that are out of sight for a while.")
    ] = DataConfig.absence_probability,
    close_ups: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of clips in which the camera draws back from a close-up."),
    ] = DataConfig.close_up_probability,
    newcomers: Annotated[
        float, typer.Option(min=0, max=1, help="Share of clips in which things come up beside the objects.")
    ] = DataConfig.newcomer_probability,
    leavers: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of clips in which something in front of an object leaves it."),
    ] = DataConfig.leaver_probability,
    refine_edges: Annotated[
        bool,
        typer.Option(
            "--refine-edges/--no-refine-edges",
            help="Score masks also as inference refines them along the colours of the frame.",
        ),
    ] = LossConfig.refine_edges,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the weights and of the stream of clips.")
    ] = TrainConfig.seed,
    threads: Annotated[
        int,
        typer.Option(
            min=1, callback=at_most_usable, help="CPU threads of the model, no more than the usable cores."
        ),
    ] = TrainConfig.threads,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare clips.")] = TrainConfig.workers,
    validate_minutes: Annotated[
        float, typer.Option(help="Minutes between validations.")
    ] = TrainConfig.validate_minutes,
    validation_size: Annotated[
        int, typer.Option(min=0, help="Working size of the validation; 0 for the clips' own.")
    ] = USUAL_SIZE,
    validation_frames: Annotated[
        int | None, typer.Option(min=3, help="Frames per validation clip.", show_default="all")
    ] = None,
    device: DeviceOption = TrainConfig.device,
) -> None:
    """Train a model from scratch on labelled clips and stills; a stopped run goes on where it was.

    Example: stma train data --out runs/mine --minutes 600

    Several GPUs: torchrun --nproc_per_node=4 -m stma_cli.main train data --minutes 60
    """
    from stma.errors import SettingsError
    from stma_cli.comma_list import listed
    from stma_cli.config.field_settings import with_settings
    from stma_cli.training.run import learn

    if crop % 16:
        raise SettingsError(f"--crop {crop} is not a multiple of 16", f"use {crop // 16 * 16 or 64}")
    config = TrainConfig(
        model=model,
        network=with_settings(TrainConfig(model=model).shape, network, "the network") if network else None,
        without=listed(without),
        initial_weights=initial_weights,
        renewed=listed(renew or ""),
        only=listed(only or ""),
        steps=steps,
        minutes=minutes,
        batch=batch,
        uses=uses,
        learning_rate=learning_rate,
        ema=ema,
        embedding_rate=embedding_rate,
        fixed_statistics=fixed_statistics,
        statistics_until=statistics_until,
        seed=seed,
        threads=threads,
        workers=workers,
        validate_minutes=validate_minutes,
        device=device,
        hard_pixels=(TrainConfig.hard_pixels[0], hard_pixels),
        loss=LossConfig(
            region_weight=region_weight,
            scored_frames=scored_frames,
            scored_windows=scored_windows,
            windowed=windowed,
            disturbed_share=disturbed,
            refine_edges=refine_edges,
            label_sharpness=_range(label_sharpness, "--label-sharpness"),
            readout_sharpness=_range(readout_sharpness, "--readout-sharpness"),
        ),
        data=DataConfig(
            crop=crop,
            frames=frames,
            real_share=real_share,
            max_objects=max_objects,
            max_gap=max_gap,
            blur_probability=blur,
            bars_probability=bars,
            shadow_probability=shadows,
            moving_probability=moving,
            look_alike_probability=look_alikes,
            absence_probability=absences,
            close_up_probability=close_ups,
            newcomer_probability=newcomers,
            leaver_probability=leavers,
        ),
    )
    learn(data, run, config, SegmenterConfig(size=validation_size or None), validation_frames, typer.echo)


def _range(text: str, option: str) -> tuple[float, float]:
    from stma.errors import SettingsError

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise SettingsError(
            f"{option} {text} is no range", "give one number, or two with a comma between, e.g. 2.5,5"
        )
    return numbers[0], numbers[-1]
