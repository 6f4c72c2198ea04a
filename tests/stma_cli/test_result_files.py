"""Places of results are refused before the work begins."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stma.errors import OutputError
from stma_cli.main import app
from stma_cli.output import require_file_place


def test_files_of_the_same_kind_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "old.JSON").touch()
    for place in (None, tmp_path / "old.JSON", tmp_path / "new.json", tmp_path / "new"):
        require_file_place("--json", place, ".json")


@pytest.mark.parametrize(
    ("words", "option", "ending"),
    [
        (["evaluate", "absent", "absent", "--csv"], "--csv", ".csv"),
        (["validate", "absent", "--json"], "--json", ".json"),
        (["bench", "--model", "absent", "--json"], "--json", ".json"),
        (["calibrate", "absent", "-o"], "--out", ".safetensors"),
    ],
)
def test_a_file_of_another_kind_stays(
    words: list[str], option: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mask.png").write_bytes(b"mask")
    result = CliRunner().invoke(app, [*words, "mask.png"])
    assert isinstance(result.exception, OutputError), result.output
    assert f"{option} mask.png is there already" in str(result.exception)
    assert f"ends in {ending}" in str(result.exception)
    assert Path("mask.png").read_bytes() == b"mask"


def test_a_folder_that_is_not_writable_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(OutputError, match=r"--json .*a folder that is not writable; choose another"):
        require_file_place("--json", tmp_path / "b.json", ".json")
