"""Progress on the terminal, and nothing at all elsewhere."""

import sys
from typing import Protocol, Self

MEGABYTE = 1 << 20


class Progress(Protocol):
    """Told of every finished frame."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *reason: object) -> None:
        """Stop showing."""

    def advance(self) -> None:
        """One more frame is done."""


class NoProgress:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        """Nothing to stop."""

    def advance(self) -> None:
        """Nothing to show."""


class TerminalProgress:
    """A line on stderr with the frames done, frames per second, time left and memory in use."""

    def __init__(self, total: int | None) -> None:
        """Prepare the line.

        Args:
            total: the number of frames as far as it is known; it need not be right.
        """
        import psutil
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._process = psutil.Process()
        self._bar = Bar(
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.fields[all]} frames"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[memory]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, all=total or "?", rate="", memory="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """Show one more frame."""
        speed = self._bar.tasks[0].speed
        self._bar.update(
            self._task,
            advance=1,
            rate=f"{speed:.2f} frames/s" if speed else "",
            memory=f"{self._process.memory_info().rss // MEGABYTE} MB",
        )


def progress_for(total: int | None, quiet: bool) -> Progress:
    """Return a progress line where someone sees it: on a terminal, and unless `quiet`."""
    if quiet or not sys.stderr.isatty():
        return NoProgress()
    return TerminalProgress(total)
