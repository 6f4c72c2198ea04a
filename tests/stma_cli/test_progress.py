"""The progress line."""

import sys

import pytest

from stma_cli.progress import NoProgress, TerminalProgress, progress_for


def test_nothing_is_shown_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert isinstance(progress_for(10, quiet=False), NoProgress)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(progress_for(10, quiet=True), NoProgress)
    assert isinstance(progress_for(10, quiet=False), TerminalProgress)


@pytest.mark.parametrize("total", [3, None, 1])
def test_a_wrong_total_does_no_harm(total: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress(total) as progress:
        for _ in range(3):
            progress.advance()
    assert progress._bar.tasks[0].completed == 3
    assert capsys.readouterr().out == ""
