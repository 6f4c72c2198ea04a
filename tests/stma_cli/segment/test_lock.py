"""Two runs do not write into one folder, and nothing is left of what keeps them apart."""

import errno
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fakes import CLIP_FRAMES, CopySegmenter, fake_setup
from media import make_clip
from typer.testing import CliRunner, Result

from stma.errors import OutputError
from stma_cli.main import app
from stma_cli.output import only_one
from stma_cli.result_layout import LOCK_FILE
from stma_cli.segment import run as segment_run


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["segment", "clip.mp4", "--mask", "first.png", "--out", "a/b", *words])


@pytest.mark.parametrize("words", [(), ("--resume",), ("--force",)])
def test_a_second_run_is_refused_while_the_first_works(
    small_workplace: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    pytest.importorskip("fcntl", reason="no file locks here")
    second: list[Result] = []

    def on_chunk(chunks: int) -> None:
        if chunks == 1:
            second.append(run(*words))

    monkeypatch.setattr(
        segment_run, "set_up_model", lambda *given: fake_setup(*given, CopySegmenter(on_chunk))
    )
    assert run("--checkpoint", "1", "--states", "0").exit_code == 0
    assert isinstance(second[0].exception, OutputError), second[0].output
    assert str(second[0].exception) == (
        "another stma segment is writing into a/b; wait for it, or choose another --out"
    )
    assert sorted(path.name for path in Path("a/b").iterdir()) == [
        *(f"{index:05d}.png" for index in range(CLIP_FRAMES)),
        "names.json",
        "report.json",
    ]


def test_what_a_killed_run_leaves_is_no_obstacle(small_workplace: Path) -> None:
    Path("a/b").mkdir(parents=True)
    Path("a/b", LOCK_FILE).touch()
    result = run()
    assert result.exit_code == 0, result.output
    assert not Path("a/b", LOCK_FILE).exists()


def test_a_run_that_is_refused_leaves_no_folder(
    small_workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_model(*given: object) -> None:
        raise OutputError("no", "none")

    monkeypatch.setattr(segment_run, "set_up_model", no_model)
    assert run().exit_code != 0
    assert not Path("a").exists()


def test_a_lock_that_is_given_back_while_another_asks_for_it_has_one_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="no file locks here")
    lock, command, flock = tmp_path / "lock", "stma segment", fcntl.flock
    with ExitStack() as first:
        first.enter_context(only_one(lock, command))

        def given_back(*asked: Any) -> None:
            first.close()  # after the file was opened, and before its lock is asked for
            flock(*asked)

        monkeypatch.setattr(fcntl, "flock", given_back)
        with only_one(lock, command):
            monkeypatch.setattr(fcntl, "flock", flock)
            with pytest.raises(OutputError, match="another stma segment"), only_one(lock, command):
                pass
    assert not list(tmp_path.iterdir())


def test_without_file_locks_all_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with only_one(tmp_path / "lock", "stma batch"), only_one(tmp_path / "lock", "stma batch"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_writable_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fcntl", reason="no file locks here")
    opened = Path.open

    def read_only(path: Path, mode: str = "r", *given: Any, **options: Any) -> Any:
        if "w" in mode:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return opened(path, mode, *given, **options)

    monkeypatch.setattr(Path, "open", read_only)
    for folder in ("clips", "out"):
        (tmp_path / folder).mkdir()
    make_clip(tmp_path / "clips/a.mp4", 2)
    result = CliRunner().invoke(app, ["batch", str(tmp_path / "clips"), "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, OutputError), result.output
    assert str(result.exception).startswith(f"{tmp_path / 'out'} is not writable")
