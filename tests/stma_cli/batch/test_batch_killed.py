"""Real workers with a real, tiny network, one of them killed in the middle: nothing lost, nothing done twice."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psutil
import pytest
from colour_network import colour_network
from fakes import save_mask
from media import make_clip
from typer.testing import CliRunner

from stma.weights import save_weights
from stma_cli.batch.storage import storage_at
from stma_cli.main import app
from stma_cli.segment.checkpoint import load_checkpoint

WIDTH, HEIGHT, COUNT = 90, 66, 60
NAMES = ("a", "b", "c", "d")
OPTIONS = ["--model", "tiny.safetensors", "--checkpoint", "8"]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with four clips, their masks and tiny.safetensors."""
    monkeypatch.chdir(tmp_path)
    save_weights(colour_network(), Path("tiny.safetensors"))
    for name in NAMES:
        for folder in ("clips", "masks"):
            Path(folder).mkdir(exist_ok=True)
        make_clip(Path(f"clips/{name}.mp4"), COUNT, width=WIDTH, height=HEIGHT)
        save_mask(f"masks/{name}.png", 1, 2, width=WIDTH, height=HEIGHT)
    return tmp_path


@pytest.fixture
def ray_on_two_cpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray of its own, whose actors find the modules of this test run."""
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 << 20)
    yield
    ray.shutdown()


def test_a_temporary_folder_goes_once_its_process_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    others = [f"stma-elsewhere-{dead.pid}-a", f"stma-{socket.gethostname()}-{os.getppid()}-a", "stma-mine"]
    for name in (f"stma-{socket.gethostname()}-{dead.pid}-a", *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "00000.png").touch()
    with storage_at(f"file://{tmp_path}/far").workspace("clip", ours=True) as workspace:
        assert {path.name for path in tmp_path.iterdir()} == {*others, workspace.folder.name, "far"}
        assert f"-{os.getpid()}-" in workspace.folder.name
    assert {path.name for path in tmp_path.iterdir()} == {*others, "far"}


def can_go_on(name: str) -> bool:
    """Whether a clip has a checkpoint with masks, which is written some frames after the last mask it needs."""
    checkpoint = load_checkpoint(Path("out", name))
    return checkpoint is not None and checkpoint.next_frame >= 8


def half_way(name: str) -> bool:
    """Whether a clip can be gone on with and is not about to be done."""
    masks = len(list(Path("out").glob(f"{name}/*.png")))
    return masks <= COUNT - 20 and can_go_on(name)  # nearer to its end the checkpoint may go while it is read


def kill_one_worker(mark: str, killed: list[int]) -> None:
    """Wait until two clips are half-way, then kill -9 a process whose title or command holds `mark`."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if sum(half_way(name) for name in NAMES) == 2:
            for process in psutil.Process().children(recursive=True):
                try:
                    if mark in " ".join(process.cmdline()):
                        process.kill()
                        killed.append(process.pid)
                        return
                except psutil.Error:
                    continue
        time.sleep(0.005)


def run_with_a_kill(mark: str, *words: str) -> list[dict[str, object]]:
    """Run the batch, kill one of its workers, and return the rows of batch.json."""
    killed: list[int] = []
    killer = Thread(target=kill_one_worker, args=(mark, killed))
    killer.start()
    result = CliRunner().invoke(app, ["batch", "clips", "--masks", "masks", "-o", "out", *OPTIONS, *words])
    killer.join()
    assert len(killed) == 1
    assert result.exit_code == 0, result.output
    rows: list[dict[str, object]] = json.loads(Path("out/batch.json").read_text())["clips"]
    return rows


def require_nothing_lost_and_nothing_twice(rows: list[dict[str, object]]) -> None:
    assert [row["clip"] for row in rows] == list(NAMES)
    assert {row["status"] for row in rows} == {"done"}
    assert sorted(row["attempts"] for row in rows) == [1, 1, 1, 2]  # type: ignore[type-var]
    for row in rows:
        resumed_at = row.get("resumed_at", 0)
        assert isinstance(resumed_at, int)
        assert row["frames"] == COUNT
        assert row["computed"] == COUNT - resumed_at
        assert (resumed_at >= 8) == (row["attempts"] == 2)
    require_as_alone()


def require_as_alone() -> None:
    """Compare all masks with those of an uninterrupted `stma segment`."""
    words = ["--mask", "masks/a.png", "--out", "alone", *OPTIONS, "--threads", "1"]
    assert CliRunner().invoke(app, ["segment", "clips/a.mp4", *words]).exit_code == 0
    expected = {path.name: path.read_bytes() for path in Path("alone").glob("*.png")}
    for name in NAMES:  # the clips are alike
        assert {path.name: path.read_bytes() for path in Path(f"out/{name}").glob("*.png")} == expected


def test_local_workers(workplace: Path) -> None:
    words = ["--devices", "cpu", "--workers", "2", "--threads", "1"]
    rows = run_with_a_kill("spawn_main", *words)
    require_nothing_lost_and_nothing_twice(rows)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_the_batch_itself_is_ended(workplace: Path, number: signal.Signals, status: int) -> None:
    code = "import sys; from stma_cli.main import main; sys.argv[0] = 'stma'; main()"
    words = [
        "batch",
        "clips",
        "--masks",
        "masks",
        "-o",
        "out",
        *OPTIONS,
        "--devices",
        "cpu",
        "--workers",
        "1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--threads", "1"], stdout=subprocess.DEVNULL
    )
    while not can_go_on("a"):
        assert process.poll() is None
        time.sleep(0.005)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    assert process.wait(60) == status
    _, alive = psutil.wait_procs(workers, 30)
    assert not alive
    checkpoint = load_checkpoint(Path("out/a"))
    assert checkpoint is not None
    masks = len(list(Path("out/a").glob("*.png")))
    assert checkpoint.next_frame >= (8 if number is signal.SIGKILL else masks - 4)
    result = CliRunner().invoke(app, [*words, "--threads", "1"])
    assert result.exit_code == 0, result.output
    rows = json.loads(Path("out/batch.json").read_text())["clips"]
    assert rows[0]["resumed_at"] == checkpoint.next_frame
    require_as_alone()


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install 'stma-cli[ray]'"
)
def test_ray_actors(workplace: Path, ray_on_two_cpus: None) -> None:
    words = ["--engine", "ray", "--workers", "2", "--threads", "1"]
    rows = run_with_a_kill("ray::_Actor", *words)
    require_nothing_lost_and_nothing_twice(rows)
