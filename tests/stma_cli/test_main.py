"""Where the output of commands goes, and paths that lead nowhere, end in one line and never in a traceback."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from damaging import make_good_files
from typer.testing import CliRunner

from stma_cli import main
from stma_cli.information import Fact


@pytest.mark.parametrize(
    ("encoding", "name", "printed"),
    [
        ("cp1252", "猫é.mp4", b"\\u732b\xe9.mp4"),
        ("utf-8", "猫.mp4", "猫.mp4".encode()),
        ("utf8", "caf\udce9", b"caf\xe9"),
        ("latin-1", "caf\udce9", b"caf\\udce9"),
    ],
)
def test_names_that_the_encoding_of_the_output_lacks(
    encoding: str, name: str, printed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    main.root(version=False)
    print(name, end="", flush=True)
    assert written.getvalue() == printed


@pytest.mark.parametrize(
    "words", [["check", "café😀.mp4"], ["batch", ".", "--dry-run"], ["batch", ".", "-o", "out"], ["info"]]
)
def test_json_is_valid_in_any_encoding(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stma_cli.information.collect", lambda: [Fact("versions", "Python", "café😀.mp4")])
    Path("café😀.mp4").touch()
    result = CliRunner(charset="ascii").invoke(main.app, [*words, "--json"])
    assert result.stdout.isascii()
    assert "café😀" in str(json.loads(result.stdout))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_under_the_output(unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": os.pathsep.join(sys.path)}
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "stma_cli.main", "--version"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: the disk is full, the output cannot be written; free some space or choose a folder on another disk\n"
    )


@pytest.mark.parametrize("words", [["-o", "loop"], ["-o", "out", "--overlay", "loop/seen.mp4"]])
def test_a_link_to_itself(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_good_files()
    Path("loop").symlink_to("loop")
    monkeypatch.setattr("sys.argv", ["stma", "segment", "clip.mp4", "--mask", "mask.png", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert os.strerror(errno.ELOOP) in said or "leads over a link to that link itself" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["segment", "clip.mp4", "--mask", "mask.png", "-o"],
        ["report"],
        ["convert", "--to", "npz", "-o", "a.npz"],
    ],
)
def test_a_name_that_is_too_long(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_good_files()
    name = "long" * 80
    monkeypatch.setattr("sys.argv", ["stma", *words, name])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {name}")
    assert said.endswith(" is longer than the file system takes; choose a shorter name\n")
    assert said.count("\n") == 1
