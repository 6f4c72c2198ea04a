"""`stma evaluate`: scores of predicted masks, or of a training-free baseline, against ground truth."""

from pathlib import Path
from typing import Annotated

import typer

from stma.errors import SettingsError


def evaluate(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="[PRED] GT",
            help="Folder of predictions and folder of ground truth; with --baseline the ground truth alone.",
        ),
    ],
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Score a training-free baseline instead of predictions: copy, flow or grabcut. "
            "Needs the pictures beside the ground truth, or in JPEGImages beside Annotations."
        ),
    ] = None,
    sequences: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these: a name (can be repeated), a text file with a name per line, or a JSON file with lists "
            "of names, see --split.",
            show_default="all",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Which list of the JSON file given with --sequences.")
    ] = "validation",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write one line per object to this CSV file.")] = None,
) -> None:
    """Score masks by the DAVIS semi-supervised protocol: J, F and their mean, per object and sequence.

    PRED and GT hold one folder of label PNGs per sequence, or are one. The first and the last frame are left
    out, objects that are not predicted count as zero, and an object that enters later is scored after the
    frame that first shows it.

    Example: stma evaluate results/ DAVIS/Annotations/480p
    """
    from rich.console import Console

    from stma.baselines import parse_baseline
    from stma_cli.evaluate.scoring import score_all
    from stma_cli.evaluate.show import json_text, print_table, write_csv
    from stma_cli.masks.sequences import chosen_sequences, find_sequences
    from stma_cli.output import require_file_place

    if len(folders) != (1 if baseline else 2):
        if baseline:
            raise SettingsError(
                "--baseline takes one folder, the ground truth", "run stma evaluate --baseline flow GT"
            )
        raise SettingsError(
            "two folders are needed, predictions and ground truth", "run stma evaluate PRED GT"
        )
    known = parse_baseline(baseline) if baseline else None
    require_file_place("--csv", csv, ".csv")
    truth = folders[-1]
    chosen = chosen_sequences(find_sequences(truth), sequences or [], split, truth)
    total = score_all(known or folders[0], chosen, Console(stderr=True))
    if csv is not None:
        write_csv(csv, total)
    if as_json:
        settings = {"predictions": None if baseline else str(folders[0]), "baseline": baseline}
        typer.echo(json_text(total, {**settings, "ground_truth": str(truth)}))
    else:
        print_table(total, f"baseline {baseline}" if baseline else str(folders[0]), Console())
