"""`stma validate`: how the figures of each set are shown."""

from rich.console import Console

from stma.evaluation import MEAN, MEASURES
from stma.training.scores import SetSummary
from stma.training.validation_sets import EARLY, LATE
from stma_cli.tables import print_line, print_rows

COLUMNS = ("set", "clips", *MEASURES, "s/frame", "switches", "Spearman", "warnings right")


def print_sets(sets: list[SetSummary], title: str, console: Console) -> None:
    """Print one line per set, as a table that fits 80 columns or for programs, and below it what is longer."""
    print_line(console, title)
    print_rows(console, COLUMNS, [_cells(each) for each in sets], COLUMNS[1:])
    for each in sets:
        lines = [f"worst clip {each.worst}, {MEAN} {100 * each.sequences[each.worst]:.1f}"]
        if each.drift is not None:
            early, late = (100 * region for region in each.drift)
            lines.append(
                f"J {early:.1f} at frames {EARLY[0]} to {EARLY[1] - 1}, "
                f"{late:.1f} at frames {LATE[0]} to {LATE[1] - 1}"
            )
        for text in lines:
            print_line(console, f"{each.name}: {text}")


def _cells(found: SetSummary) -> list[str]:
    confidence = found.confidence
    return [
        found.name,
        str(len(found.sequences)),
        *(f"{100 * value:.1f}" for value in found.mean.plain().values()),
        f"{found.seconds_per_frame:.2f}",
        str(found.switches),
        f"{confidence.spearman:.2f}",
        "none"
        if confidence.precision is None
        else f"{100 * confidence.precision:.0f} % of {confidence.warnings}",
    ]
