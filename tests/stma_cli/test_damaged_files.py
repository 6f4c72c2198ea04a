"""Damaged and hostile files: each is refused or handled with a clear line, and nothing is written elsewhere."""

import builtins
import errno
import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from damaged import CASES, Case
from damaging import make_good_files
from fakes import fake_setup
from typer.testing import CliRunner

from stma.errors import StmaError
from stma_cli.main import app
from stma_cli.segment import run as segment_run

LONGEST = 30  # seconds; each takes a fraction of one
FINAL = (".mp4", ".npz", ".xml", ".html")  # results that are written whole or not at all
FAULTS = Path(__file__).parents[2] / "docs" / "faults.md"


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit status, and the line that says why."""

    status: int
    line: str


def run_case(case: Case) -> Outcome:
    """Make the file in the current folder and run the command on it."""
    make_good_files()
    case.make()
    with _no_longer_than(LONGEST):
        result = CliRunner().invoke(app, case.command.split(" "))
    if isinstance(result.exception, StmaError):
        return Outcome(result.exception.exit_code, f"error: {result.exception}")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    said = next((line for line in lines if case.says in line), lines[-1] if lines else "")
    return Outcome(result.exit_code, said)


@contextmanager
def _no_longer_than(seconds: int) -> Iterator[None]:
    def too_long(number: int, stack: object) -> None:
        raise TimeoutError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tree(root: Path) -> dict[str, object]:
    """Return every file below a folder but those in `out`, with size and time of its last change."""
    found: dict[str, object] = {}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if Path(folder, name) != root / "work" / "out"]
        for name in files:
            status = os.lstat(Path(folder, name))
            found[str(Path(folder, name))] = (status.st_size, status.st_mtime_ns)
    return found


@pytest.mark.skipif(not hasattr(signal, "SIGALRM") or not hasattr(os, "mkfifo"), reason="needs a Unix")
@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_is_refused_or_handled(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    if "--model" not in case.command:
        monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    seen: dict[str, object] = {}
    case_with_look = Case(
        case.title, case.command, case.says, case.refused, lambda: (case.make(), seen.update(tree(tmp_path)))
    )
    outcome = run_case(case_with_look)
    assert outcome.status == (2 if case.refused else 0), outcome.line
    assert case.says in outcome.line
    assert tree(tmp_path) == seen
    written = [path for path in Path("out").rglob("*") if path.is_file()] if Path("out").is_dir() else []
    assert not [path for path in written if path.name.endswith(".part")]
    if case.refused:
        assert not [path for path in written if path.name == "report.json" or path.suffix in FINAL]


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("mask.png", "segment clip.mp4 -o out --mask mask.png"),
        ("masks", "segment clip.mp4 -o out --mask masks"),
        ("frames/2.png", "segment frames -o out --mask mask.png"),
        ("masks/names.json", "overlay clip.mp4 masks -o out/a.mp4"),
        ("masks/report.json", "report masks -o out/a.html"),
        ("out/.stma-checkpoint", "segment clip.mp4 -o out --mask mask.png --resume"),
    ],
)
def test_lack_of_permission_is_no_damage(
    file: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_good_files()
    path = Path(file)
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.touch()
    for module, name in ((builtins, "open"), (io, "open"), (os, "listdir"), (os, "scandir")):
        monkeypatch.setattr(module, name, _denied(getattr(module, name), path.absolute()))
    result = CliRunner().invoke(app, command.split(" "))
    assert isinstance(result.exception, StmaError), result.output
    assert str(result.exception) == f"{file} may not be read (Permission denied); change its permissions"


def _denied(function: Callable[..., Any], path: Path) -> Callable[..., Any]:
    """Return an opener that refuses one path; permissions themselves do not stop an administrator."""

    def opened(file: Any = ".", *given: Any, **options: Any) -> Any:
        if isinstance(file, str | Path) and Path(file).absolute() == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return function(file, *given, **options)

    return opened


def test_there_are_enough() -> None:
    assert len(CASES) >= 50
    assert len({case.title for case in CASES}) == len(CASES)


def test_the_page_has_every_case() -> None:
    page = FAULTS.read_text("utf-8")
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in page.splitlines() if row.startswith("| ")}
    for case in CASES:
        assert case.title in rows, "run: python docs/make_faults.py"
        assert ("refused" if case.refused else "handled") in rows[case.title]
