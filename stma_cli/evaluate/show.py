"""Shows the scores of an evaluation: table, JSON, CSV."""

import csv
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stma.evaluation import DatasetScore, Score
from stma.saving import replacing
from stma_cli.wording import counted


def print_table(total: DatasetScore, title: str, console: Console) -> None:
    """Print one line per sequence, its objects below it where there are several, and the means."""
    table = Table(title=title)
    table.add_column("sequence", overflow="fold")
    table.add_column("object", justify="right")
    table.add_column("frames", justify="right")
    for measure in ("J", "F", "J&F"):
        table.add_column(measure, justify="right")
    for sequence in total.sequences:
        several = len(sequence.objects) > 1
        label = f"all {len(sequence.objects)}" if several else str(sequence.objects[0].object_id)
        frames = max(item.frames for item in sequence.objects)
        table.add_row(sequence.name, label, str(frames), *_texts(sequence.score))
        for item in sequence.objects if several else ():
            table.add_row("", str(item.object_id), str(item.frames), *_texts(item.score), style="dim")
    table.add_section()
    objects = sum(len(sequence.objects) for sequence in total.sequences)
    table.add_row(f"mean of {counted(objects, 'object')}", "", "", *_texts(total.over_objects), style="bold")
    table.add_row(
        f"mean of {counted(len(total.sequences), 'sequence')}", "", "", *_texts(total.over_sequences)
    )
    console.print(table)
    for sequence in total.sequences:
        for note in sequence.notes:
            console.print(f"{sequence.name}: {note}", markup=False, highlight=False)


def json_text(total: DatasetScore, settings: dict[str, str | None]) -> str:
    """Return the scores as JSON; `settings` (what was scored) stands at its top."""
    document = {
        **settings,
        "over_objects": _as_dict(total.over_objects),
        "over_sequences": _as_dict(total.over_sequences),
        "sequences": [
            {
                "name": sequence.name,
                **_as_dict(sequence.score),
                "objects": [
                    {"id": item.object_id, "frames": item.frames, **_as_dict(item.score)}
                    for item in sequence.objects
                ],
                "notes": list(sequence.notes),
            }
            for sequence in total.sequences
        ],
    }
    return json.dumps(document, indent=2)


def write_csv(path: Path, total: DatasetScore) -> None:
    """Write one line per object.

    Raises:
        OutputError: when the file cannot be written.
    """
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["sequence", "object", "frames", "J", "F", "J&F"])
        for sequence in total.sequences:
            for item in sequence.objects:
                row = [sequence.name, item.object_id, item.frames]
                writer.writerow([*row, *(f"{value:.6f}" for value in _as_dict(item.score).values())])


def _as_dict(score: Score) -> dict[str, float]:
    return {"J": score.region, "F": score.boundary, "J&F": score.mean}


def _texts(score: Score) -> list[str]:
    return [f"{100 * value:.1f}" for value in _as_dict(score).values()]
