"""What may not be read ends in one line and exit status 2, wherever it is met."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stma_cli import main
from stma_cli.config.file import find_config


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that may not be entered, not even by root."""
    folder, stat = tmp_path / "locked", os.stat
    folder.mkdir()

    def refuse(path: Any, **options: Any) -> os.stat_result:
        if not isinstance(path, int) and folder in Path(path).parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        yield folder


def test_no_configuration_is_found_in_a_locked_folder(locked: Path) -> None:
    with pytest.raises(PermissionError):
        (locked / "stma.toml").is_file()
    assert find_config(str(locked)) is None
    assert find_config(str(locked / "clip.mp4")) is None


@pytest.mark.parametrize("command", ["check", "segment", "batch"])
def test_a_clip_in_a_locked_folder_is_refused(
    locked: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out = locked / "clip.mp4", ["-o", str(locked.parent / "out")] if command != "check" else []
    monkeypatch.setattr("sys.argv", ["stma", command, str(clip), *out])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"error: {clip} may not be used; change its permissions, or those of its folder\n"
    )
