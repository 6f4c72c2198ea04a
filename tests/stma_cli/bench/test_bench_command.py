"""`stma bench`: complete output in all three forms, with a tiny network; no rate is expected of the machine."""

import json
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from stma.config import MODEL_CONFIGS
from stma.device import resolve_precision
from stma.errors import SettingsError, StmaError
from stma.network.model import STMA
from stma.weights import load_model, save_weights
from stma_cli.bench import long
from stma_cli.bench.long import LongRun
from stma_cli.bench.run import describe_machine
from stma_cli.bench.settings import BenchSettings, frame_width
from stma_cli.commands.bench import bench

app = typer.Typer()
app.command()(bench)
SMALL = ["--model", "tiny.safetensors", "--sizes", "48", "--device", "cpu", "--frames", "2", "--repeats", "2"]


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tiny.safetensors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    torch.manual_seed(0)
    save_weights(STMA(MODEL_CONFIGS["tiny"]), Path("tiny.safetensors"))
    return tmp_path


def test_everything_is_measured(workplace: Path) -> None:
    words = [*SMALL, "--objects", "2,1", "--precision", "fp32", "--chunk", "2"]
    words += ["--profile", "--json", "bench.json", "--plot", "bench.png"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    for heading in ("fps", "GFLOP", "decode", "together", "operation"):
        assert heading in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    found = json.loads(Path("bench.json").read_text())
    assert [row["objects"] for row in found["rows"]] == [2, 1]
    assert found["model"]["parameters"] > 0
    assert set(found["peaks"]) == {"fp32"}
    for row in found["rows"]:
        assert (row["size"], row["height"], row["width"]) == (48, 48, 86)
        assert row["model"]["gflop_per_frame"] > 0
        assert row["model"]["estimate"]["total"] > row["model"]["estimate"]["entries"]
        assert len(row["profile"]) == 10
        for spread in (row["model"]["frames_per_second"], *row["pipeline"].values()):
            assert 0 < spread["lower"] <= spread["median"] <= spread["upper"]
    assert Path("bench.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in workplace.iterdir() if path.name.startswith("bench")) == [
        "bench.json",
        "bench.png",
    ]


def test_model_only() -> None:
    words = [*SMALL, "--objects", "1", "--precision", "auto,fp32,bf16", "--model-only", "--json", "m.json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "decode" not in result.stdout
    found = json.loads(Path("m.json").read_text())
    chosen = resolve_precision("auto", torch.device("cpu")).name
    assert {row["precision"] for row in found["rows"]} == {"bf16", "fp32", chosen}
    assert len(found["rows"]) == len({"bf16", "fp32", chosen})
    assert all(row["pipeline"] is None and row["profile"] is None for row in found["rows"])


def test_a_long_run_samples_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "--model",
        "tiny.safetensors",
        "--sizes",
        "32",
        "--device",
        "cpu",
        "--objects",
        "1",
        "--long",
        "800",
    ]
    begun: list[None] = []

    def said(line: str, err: bool) -> None:
        begun.append(None)

    def described(device: str) -> dict[str, object]:
        assert not begun, "the load is not that of the run itself"
        return describe_machine(device)

    monkeypatch.setattr(typer, "echo", said)
    monkeypatch.setattr(long, "describe_machine", described)
    result = CliRunner().invoke(app, [*words, "--model-only", "--json", "long.json", "--plot", "long.png"])
    assert result.exit_code == 0, result.output
    (run,) = json.loads(Path("long.json").read_text())["runs"]
    assert run["frames"] == list(range(100, 801, 100))
    assert len(run["milliseconds"]) == len(run["resident"]) == 8
    assert all(value > 0 for value in (*run["milliseconds"], *run["resident"]))
    early, late = run["milliseconds_early_late"]
    assert f"{early:.1f}" in result.output
    assert f"{late:.1f}" in result.output
    assert Path("long.png").read_bytes().startswith(b"\x89PNG")


def test_a_long_run_compares_its_end_with_what_lies_around_frame_200() -> None:
    milliseconds = (90.0, 2.0, 4.0, 90.0, 90.0, 6.0, 8.0, 7.0)
    run = LongRun("model", 32, 1, tuple(range(100, 801, 100)), milliseconds, (9,) * 8)
    assert run.change(milliseconds) == (3, 7)
    assert run.change(run.resident) == (9, 9)


def test_the_pipeline_of_a_long_run_counts_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long, "WINDOW", 2)
    loaded = load_model("tiny.safetensors").model
    settings = BenchSettings(
        "tiny",
        (1,),
        (48,),
        ("fp32",),
        "cpu",
        1,
        chunk=2,
        refine_edges=True,
        focus=True,
        graphs=True,
        frames=1,
        repeats=1,
        pipeline=True,
        profile=False,
    )
    run = long.one_run(settings, loaded, "pipeline", 48, 1, frames=6)
    assert run.frames == (2, 4, 6)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--objects", "0"], "--objects"),
        (["--objects", "one"], "from 1 to 100 such as 1,3,10, with commas between"),
        (["--sizes", "480,"], "--sizes"),
        (["--sizes", "20"], "from 32 to 4320 such as 480,1080, with commas between"),
        (["--precision", "int4"], "--precision"),
        (["--plot", "plot.txt"], "--plot"),
        (["--json", "absent/bench.json"], "--json"),
        (["--long", "800", "--precision", "fp32,bf16"], "one --precision"),
        (["--long", "800", "--profile"], "leave --profile out"),
    ],
)
def test_impossible_options(words: list[str], part: str) -> None:
    result = CliRunner().invoke(app, [*SMALL, *words])
    assert isinstance(result.exception, SettingsError)
    assert part in str(result.exception)


def test_fp16_on_a_cpu_is_refused() -> None:
    result = CliRunner().invoke(app, [*SMALL, "--precision", "fp16"])
    assert isinstance(result.exception, StmaError)


def test_frames_are_16_to_9() -> None:
    assert [frame_width(side) for side in (360, 480, 720, 1080)] == [640, 854, 1280, 1920]
