"""Commands that are printed can be pasted as they are."""

import shlex
import sys
from pathlib import Path

import pytest
from fakes import save_mask
from media import make_clip
from running import ctrl_c_in_chunk
from typer.testing import CliRunner

from stma_cli.main import app
from stma_cli.wording import as_argument, shell_command


def test_quotes_are_those_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["stma", "segment", "my cat.mp4", "--out", "cat's"]
    monkeypatch.setattr(sys, "platform", "linux")
    assert shlex.split(shell_command(words)) == words
    monkeypatch.setattr(sys, "platform", "win32")
    assert shell_command(words) == 'stma segment "my cat.mp4" --out cat\'s'


def test_only_a_leading_dash_needs_care() -> None:
    assert as_argument(Path("-v.mp4")) == "./-v.mp4"
    assert as_argument(Path("clips/-v.mp4")) == str(Path("clips/-v.mp4"))


def test_a_video_whose_name_begins_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(Path("-v.mp4"), 10, width=64, height=48)
    save_mask("-m.png", 1)
    words = ["segment", "./-v.mp4", "--mask", "-m.png", "--size", "48"]
    with ctrl_c_in_chunk(2):
        stopped = CliRunner().invoke(app, words)
    command = shlex.split(stopped.stderr.split("go on with: ")[1])
    resumed = CliRunner().invoke(app, command[1:])
    assert resumed.exit_code == 0, resumed.output
    assert "10 of 10" not in resumed.stdout
    seen = shlex.split(resumed.stdout.split("to see   ")[1])
    assert CliRunner().invoke(app, seen[1:]).exit_code == 0
    assert Path("overlay.mp4").exists()
