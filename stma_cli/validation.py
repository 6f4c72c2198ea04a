"""`stma validate`: the figures of each set, and how they are shown."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from stma.saving import replacing
from stma_cli.tables import print_cells, print_line
from stma_cli.validation_run import LOOPED

if TYPE_CHECKING:
    from stma.training.validate import ClipResult

COLUMNS = ("set", "clips", "J", "F", "J&F", "s/frame", "switches", "Spearman", "warnings right")
EARLY, LATE = (40, 60), (480, 500)  # frames of a looped clip whose J is compared


def summary(name: str, results: list["ClipResult"]) -> dict[str, Any]:
    """Means of one set: J, F, J&F over clips, the worst clip, identity switches and the calibration."""
    from stma.calibration import calibration
    from stma.evaluation import DatasetScore

    mean = DatasetScore(tuple(result.score for result in results)).over_sequences
    worst = min(results, key=lambda result: result.score.score.mean)
    masks = [mask for result in results for mask in result.masks]
    row: dict[str, Any] = {
        "set": name,
        "clips": len(results),
        "J": mean.region,
        "F": mean.boundary,
        "J&F": mean.mean,
        "worst": {"name": worst.score.name, "J&F": worst.score.score.mean},
        "seconds per frame": _mean([result.seconds_per_frame for result in results]),
        "switches": sum(result.switches for result in results),
        "confidence": asdict(calibration([m.confidence for m in masks], [m.region for m in masks])),
        "sequences": {result.score.name: result.score.score.mean for result in results},
    }
    if name == LOOPED:
        row["early J"] = _mean([result.region(*EARLY) for result in results])
        row["late J"] = _mean([result.region(*LATE) for result in results])
    return row


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def print_rows(rows: list[dict[str, Any]], title: str, console: Console) -> None:
    """Print one line per set, as a table that fits 80 columns or for programs, and below it what is longer."""
    cells = [_cells(row) for row in rows]
    if console.is_terminal:
        table = Table(
            title=title, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
        )
        for column in COLUMNS:
            table.add_column(column, justify="left" if column == "set" else "right", overflow="fold")
        for each in cells:
            table.add_row(*each)
        console.print(table)
    else:
        for line in ([title], COLUMNS, *cells):
            print_cells(console, line)
    for row in rows:
        worst = row["worst"]
        lines = [f"worst clip {worst['name']}, J&F {100 * worst['J&F']:.1f}"]
        if "late J" in row:
            lines.append(
                f"J {100 * row['early J']:.1f} at frames {EARLY[0]} to {EARLY[1] - 1}, "
                f"{100 * row['late J']:.1f} at frames {LATE[0]} to {LATE[1] - 1}"
            )
        for text in lines:
            print_line(console, f"{row['set']}: {text}")


def _cells(row: dict[str, Any]) -> list[str]:
    confidence = row["confidence"]
    precision = confidence["precision"]
    return [
        row["set"],
        str(row["clips"]),
        *(f"{100 * row[measure]:.1f}" for measure in ("J", "F", "J&F")),
        f"{row['seconds per frame']:.2f}",
        str(row["switches"]),
        f"{confidence['spearman']:.2f}",
        "none" if precision is None else f"{100 * precision:.0f} % of {confidence['warnings']}",
    ]


def write_json(path: Path, rows: list[dict[str, Any]], head: dict[str, Any]) -> None:
    """Write the rows.

    Raises:
        OutputError: when the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({**head, "sets": rows}, indent=2) + "\n")
