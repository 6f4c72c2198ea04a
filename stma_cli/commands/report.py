"""`stma report`: one HTML page about a run."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[Path, typer.Argument(help="Results folder, as stma segment wrote it.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="HTML file to write.", show_default="report.html in the folder"),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(help="The video of the results.", show_default="the place that the results name"),
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, max=200, help="Frames on the contact sheet.")] = 15,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write one page about a run: where objects were lost, flicker or are in doubt, and which frame to annotate next.

    Example: stma report cat_stma -o cat.html
    """
    from stma_cli.report_page.page import write_page
    from stma_cli.wording import labelled, print_notes

    target = out or results / "report.html"
    summary = write_page(results, target, video, pictures, force)
    print_notes(summary.notes)
    counted = ", ".join(f"{kind.value} {count}" for kind, count in summary.events.items() if count)
    typer.echo(labelled("events", counted or "none"))
    frames = ", ".join(map(str, summary.suggestions))
    typer.echo(labelled("annotate", f"frame {frames} next" if frames else "nothing asks for a correction"))
    typer.echo(labelled("page", summary.path))
