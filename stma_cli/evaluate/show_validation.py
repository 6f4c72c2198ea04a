"""`stma validate`: how the figures of each set are shown."""

from typing import Any

from rich.console import Console

from stma.training.validation_sets import EARLY, LATE
from stma_cli.tables import print_line, print_rows

COLUMNS = ("set", "clips", "J", "F", "J&F", "s/frame", "switches", "Spearman", "warnings right")


def print_sets(rows: list[dict[str, Any]], title: str, console: Console) -> None:
    """Print one line per set, as a table that fits 80 columns or for programs, and below it what is longer."""
    print_line(console, title)
    print_rows(console, COLUMNS, [_cells(row) for row in rows], COLUMNS[1:])
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
