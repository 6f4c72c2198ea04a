"""How many threads a run takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stma_cli.commands import shared_options
from stma_cli.main import app
from stma_cli.threads import default_threads, usable_cores


def test_default_is_every_usable_core_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert default_threads() == usable_cores() >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    for useless in ("", "0", "many", "4,2"):
        monkeypatch.setenv("OMP_NUM_THREADS", useless)
        assert default_threads() == usable_cores()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_only_cores_of_this_process_count() -> None:
    code = """
import os
from stma_cli.threads import usable_cores
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
print(usable_cores())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_more_threads_than_cores_are_lowered_with_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shared_options, "usable_cores", lambda: 2)
    assert [shared_options.at_most_usable(wanted) for wanted in (None, 1, 2)] == [None, 1, 2]
    assert capsys.readouterr().err == ""
    assert shared_options.at_most_usable(1000) == 2
    assert capsys.readouterr().err == (
        "note: --threads 1000 is lowered to 2, as this process may use no more cores\n"
    )


@pytest.mark.parametrize(
    ("words", "noted"),
    [
        (["segment", "absent.mp4"], True),
        (["bench"], True),
        (["validate", "absent"], True),
        (["calibrate", "absent", "-o", "out.safetensors"], True),
        (["train", "absent", "-o", "run"], True),
        (["batch", "absent"], True),
        (["batch", "absent", "--engine", "ray"], False),
    ],
)
def test_the_note_is_made_wherever_threads_are_counted_here(
    words: list[str], noted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = [] if words[0] in ("segment", "batch", "train") else ["--model", "absent.safetensors"]
    result = CliRunner().invoke(app, [*words, *wrong, "--threads", "100000"])
    assert result.exit_code != 0, "nothing is there to work on"
    assert ("note: --threads 100000 is lowered to" in result.stderr) is noted
