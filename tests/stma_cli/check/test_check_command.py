"""`stma check` as a command: lines, table, JSON, exit status, and no torch."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from media import make_folder
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

from stma.errors import MaskError
from stma_cli.check.findings import from_error
from stma_cli.check.run import run_check
from stma_cli.check.show import print_result
from stma_cli.main import app


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "video", ["0.png", "1.png"])


@pytest.fixture
def rgb_mask(tmp_path: Path) -> Path:
    pixels = np.zeros((96, 160, 3), dtype=np.uint8)
    pixels[20:60, 30:70] = (255, 0, 0)
    pixels[70:90, 30:70] = (0, 200, 255)
    Image.fromarray(pixels).save(tmp_path / "rgb.png")
    return tmp_path / "rgb.png"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_lines_in_a_pipe(video: Path, rgb_mask: Path) -> None:
    result = run(video, "--mask", rgb_mask)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{video}: 160x96, 2 frames")
    assert lines[1].startswith(f"warning: {rgb_mask}: it is saved in RGB")
    assert "Fix: save it as indexed PNG" in lines[1]
    assert lines[-1] == "1 warning, 1 note"


def test_errors_come_first_and_give_status_two(video: Path, tmp_path: Path) -> None:
    result = run(video, "--mask", tmp_path / "missing.png")
    assert result.exit_code == 2
    assert result.stdout.splitlines()[1].startswith("error: ")


def test_json_and_fix(video: Path, rgb_mask: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    result = run(video, "--mask", rgb_mask, "--fix", out, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["ok"] is True
    assert document["video"]["frames"] == 2
    assert [item["code"] for item in document["findings"]] == ["rgb", "video"]
    assert set(document["findings"][0]) == {"level", "code", "file", "problem", "fix"}
    assert document["repaired"]["file"] == str(out)
    assert document["repaired"]["findings"] == []


def test_repaired_mask_gives_status_zero(video: Path, tmp_path: Path) -> None:
    soft = Image.fromarray(np.kron(np.eye(2, dtype=np.uint8) * 255, np.ones((24, 40), dtype=np.uint8)))
    soft.resize((160, 96), Image.Resampling.BICUBIC).save(tmp_path / "soft.png")
    assert run(video, "--mask", tmp_path / "soft.png").exit_code == 2
    result = run(video, "--mask", tmp_path / "soft.png", "--fix", tmp_path / "out.png")
    assert result.exit_code == 0
    assert f"repaired: {tmp_path / 'out.png'}" in result.stdout


def test_table_on_a_terminal_shows_names_with_brackets_as_they_are(video: Path, tmp_path: Path) -> None:
    stream = io.StringIO()
    result = run_check(video, [str(tmp_path / "[red]x.png")])
    print_result(result, Console(file=stream, force_terminal=True, width=300, no_color=True))
    assert "what to do" in stream.getvalue()
    assert "[red]x.png" in stream.getvalue()


def test_video_alone_and_video_that_cannot_be_read(video: Path, rgb_mask: Path, tmp_path: Path) -> None:
    assert run(video, "--quick").exit_code == 0
    result = run(tmp_path / "missing.mp4", "--mask", rgb_mask)
    assert result.exit_code == 2
    assert "cannot be opened" in result.stdout


def test_messages_are_parted_into_problem_and_fix() -> None:
    finding = from_error(
        MaskError("a.png is grey (GIMP: no). It has: edges", "save it with: tool -i X"), "x", "a.png"
    )
    assert finding.problem == "it is grey (GIMP: no). It has: edges"
    assert finding.fix == "save it with: tool -i X"


def test_torch_is_not_imported(video: Path, rgb_mask: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stma_cli.check.run import run_check; "
        f"run_check(Path({str(video)!r}), [{str(rgb_mask)!r}]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
