"""Rows and lines of reports: what stands in columns on a terminal is parted by tabs in a pipe."""

from collections.abc import Iterable

from rich.console import Console


def print_cells(console: Console, cells: Iterable[str]) -> None:
    """Print one row with tabs; the console itself would turn them into spaces."""
    print("\t".join(cells).rstrip(), file=console.file)


def print_line(console: Console, text: str) -> None:
    """Print one line as it is, however long."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
