"""Commands as the tests run them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stma.errors import StmaError
from stma_cli.main import app


def run_command(command: str, *arguments: object) -> str:
    """Run `stma COMMAND` and return what it prints; errors of stma are raised as they are."""
    result = CliRunner().invoke(app, [command, *map(str, arguments)])
    if isinstance(result.exception, StmaError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


run_overlay = partial(run_command, "overlay")


def run_segment(*words: str) -> Result:
    """Run `stma segment`."""
    return CliRunner().invoke(app, ["segment", *words])


def refused_segment(*words: str) -> str:
    """Run `stma segment` where it must fail with an error of ours, and return the message."""
    result = run_segment(*words)
    assert isinstance(result.exception, StmaError), result.output
    assert result.exception.exit_code == 2
    return str(result.exception)


@contextmanager
def ctrl_c_in_chunk(number: int) -> Iterator[None]:
    """Whatever follows is interrupted when the segmenter is given its chunk of this number, counted from 1."""
    from stma.segmenter import Segmenter

    steps, chunks = Segmenter.steps, []

    def interrupted(*given: object) -> object:
        chunks.append(None)
        if len(chunks) == number:
            raise KeyboardInterrupt
        return steps(*given)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Segmenter, "steps", interrupted)
        yield


@contextmanager
def lines_as_on_windows() -> Iterator[None]:
    """Text that is written ends its lines in "\\r\\n", unless who opens the file says otherwise."""
    opened = Path.open

    def open_as_there(
        path: Path, mode: str = "r", *given: Any, newline: str | None = None, **options: Any
    ) -> Any:
        translated = newline is None and "b" not in mode and mode != "r"
        return opened(path, mode, *given, newline="\r\n" if translated else newline, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_as_there)
        yield
