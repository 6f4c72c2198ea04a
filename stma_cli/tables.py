"""Rows and lines of reports: what stands in columns on a terminal is parted by tabs in a pipe."""

from collections.abc import Collection, Sequence
from itertools import zip_longest

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_rows(
    console: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[str] = (),
    styles: Sequence[str] = (),
) -> None:
    """Print rows below their titles, cells as they are: a table that fits 80 columns, or tabs for programs.

    Args:
        console: where to.
        titles: of the columns.
        rows: one cell per column in each.
        right: titles of the columns of numbers.
        styles: of the rows on a terminal, in their order; none for those beyond.
    """
    if not console.is_terminal:
        for cells in (titles, *rows):  # the console itself would turn tabs into spaces
            print("\t".join(cells).rstrip(), file=console.file)
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left", overflow="fold")
    for cells, style in zip_longest(rows, styles, fillvalue=""):
        table.add_row(*map(Text, cells), style=style)  # a name may look like markup
    console.print(table)


def print_line(console: Console, text: str) -> None:
    """Print one line as it is, however long."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
