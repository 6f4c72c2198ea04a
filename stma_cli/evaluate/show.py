"""Shows the scores of an evaluation: table, JSON, CSV."""

import csv
import json
from pathlib import Path

from rich.console import Console

from stma.evaluation import MEASURES, DatasetScore, Score
from stma.saving import replacing
from stma_cli.tables import print_line, print_rows
from stma_cli.wording import counted

COLUMNS = ("sequence", "object", "frames", *MEASURES)


def print_table(total: DatasetScore, title: str, console: Console) -> None:
    """Print one line per sequence, its objects below it where there are several, and the means."""
    rows, styles = [], []
    for sequence in total.sequences:
        several = len(sequence.objects) > 1
        label = f"all {len(sequence.objects)}" if several else str(sequence.objects[0].object_id)
        frames = max(item.frames for item in sequence.objects)
        rows.append([sequence.name, label, str(frames), *_texts(sequence.score)])
        styles.append("")
        for item in sequence.objects if several else ():
            rows.append(["", str(item.object_id), str(item.frames), *_texts(item.score)])
            styles.append("dim")
    objects = counted(sum(len(sequence.objects) for sequence in total.sequences), "object")
    rows.append([f"mean of {objects}", "", "", *_texts(total.over_objects)])
    sequences = counted(len(total.sequences), "sequence")
    rows.append([f"mean of {sequences}", "", "", *_texts(total.over_sequences)])
    print_line(console, title)
    print_rows(console, COLUMNS, rows, COLUMNS[1:], [*styles, "bold", "bold"])
    for sequence in total.sequences:
        for note in sequence.notes:
            print_line(console, f"{sequence.name}: {note}")


def json_text(total: DatasetScore, settings: dict[str, str | None]) -> str:
    """Return the scores as JSON; `settings` (what was scored) stands at its top."""
    document = {
        **settings,
        "over_objects": total.over_objects.plain(),
        "over_sequences": total.over_sequences.plain(),
        "sequences": [
            {
                "name": sequence.name,
                **sequence.score.plain(),
                "objects": [
                    {"id": item.object_id, "frames": item.frames, **item.score.plain()}
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
        writer.writerow(COLUMNS)
        for sequence in total.sequences:
            for item in sequence.objects:
                row = [sequence.name, item.object_id, item.frames]
                writer.writerow([*row, *(f"{value:.6f}" for value in item.score.plain().values())])


def _texts(score: Score) -> list[str]:
    return [f"{100 * value:.1f}" for value in score.plain().values()]
