"""Both engines keep the same promises: one outcome per job, whatever happens to the workers."""

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer
from types import SimpleNamespace

import pytest
from workers import FakeFactory, fake_jobs

from stma.errors import DeviceError, SettingsError
from stma_cli.batch.devices import local_specs
from stma_cli.batch.engine import Engine
from stma_cli.batch.jobs import ClipJob, ClipOutcome, Status, WorkerSpec
from stma_cli.batch.local_engine import LocalEngine
from stma_cli.batch.plan import largest_first
from stma_cli.batch.ray_engine import RayEngine, connect, ray_specs

SPECS = [WorkerSpec("one", "cpu", 1), WorkerSpec("two", "cpu", 1)]
MakeEngine = Callable[[int], Engine]
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install 'stma-cli[ray]'"
)


@pytest.fixture(scope="module")
def ray_here() -> Iterator[object]:
    """A Ray of two CPUs on this machine, whose workers find the modules of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 << 20)
        yield ray
        ray.shutdown()


@pytest.fixture(params=["local", pytest.param("ray", marks=needs_ray)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> MakeEngine:
    """Makes an engine of two workers with so many retries."""
    factory = FakeFactory(tmp_path)
    if request.param == "local":
        return lambda retries: LocalEngine(factory, SPECS, retries)
    ray = request.getfixturevalue("ray_here")
    return lambda retries: RayEngine(ray, factory, SPECS, retries)


def by_name(outcomes: list[ClipOutcome]) -> dict[str, ClipOutcome]:
    assert len({outcome.name for outcome in outcomes}) == len(outcomes)
    return {outcome.name: outcome for outcome in outcomes}


def test_the_largest_clips_are_taken_first(tmp_path: Path) -> None:
    sizes = {"small": 10, "frames": 0, "large": 30, "gone": None, "same": 10}
    for name, size in sizes.items():
        if size:
            (tmp_path / name).write_bytes(b"0" * size)
    (tmp_path / "frames").mkdir()
    for frame in ("a", "b"):
        (tmp_path / "frames" / frame).write_bytes(b"0" * 10)
    jobs = [ClipJob(job.name, replace(job.settings, video=tmp_path / job.name)) for job in fake_jobs(*sizes)]
    assert [job.name for job in largest_first(jobs)] == ["large", "frames", "small", "same", "gone"]


def test_every_job_gets_an_outcome(make: MakeEngine, tmp_path: Path) -> None:
    outcomes = by_name(list(make(2).run(fake_jobs(*"abcdefg"), Event())))
    assert sorted(outcomes) == list("abcdefg")
    assert all(outcome.status is Status.DONE for outcome in outcomes.values())
    assert len((tmp_path / "log").read_text().split()) == 2 * 7


def test_a_job_goes_to_another_worker_when_its_own_dies(make: MakeEngine, tmp_path: Path) -> None:
    (tmp_path / "fatal-b").write_text("1")
    outcomes = by_name(list(make(2).run(fake_jobs(*"abcd"), Event())))
    assert sorted(outcomes) == list("abcd")
    assert all(outcome.status is Status.DONE for outcome in outcomes.values())
    assert {name: outcome.attempts for name, outcome in outcomes.items()} == {"a": 1, "b": 2, "c": 1, "d": 1}


def test_a_job_that_ends_every_worker_fails_and_the_others_do_not(make: MakeEngine, tmp_path: Path) -> None:
    (tmp_path / "fatal-b").write_text("9")
    outcomes = by_name(list(make(1).run(fake_jobs(*"abc"), Event())))
    assert outcomes["b"].status is Status.FAILED
    assert outcomes["b"].attempts == 2
    assert "the worker ended 2 times" in outcomes["b"].message
    assert outcomes["a"].status is outcomes["c"].status is Status.DONE


def test_stopping_ends_soon_and_begins_nothing_more(make: MakeEngine, tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    stop = Event()

    def stop_when_begun() -> None:
        while not (tmp_path / "log").exists():
            time.sleep(0.05)
        time.sleep(0.5)
        stop.set()

    Timer(0, stop_when_begun).start()
    outcomes = list(make(0).run(fake_jobs(*"abcd"), stop))
    assert all(outcome.status is Status.WAITING for outcome in outcomes)
    assert len((tmp_path / "log").read_text().splitlines()) <= 2


def test_cores_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert [spec.threads for spec in local_specs(("cpu",), 3, None, 9)] == [2, 2, 2]
    assert [spec.threads for spec in local_specs(("cpu",), 20, None, 9)] == [1] * 20
    assert [spec.name for spec in local_specs(("cpu", "cpu"), None, None, 9)] == ["cpu 1", "cpu 2"]
    with pytest.raises(SettingsError, match="--workers shares out a CPU"):
        local_specs(("cpu", "cpu"), 2, None, 9)
    with pytest.raises(SettingsError, match="unknown"):
        local_specs(("tpu",), None, None, 9)


@pytest.mark.parametrize(
    ("clips", "gigabytes", "threads", "expected"),
    [
        (1, 64, None, [8]),
        (9, 64, None, [2, 2, 2, 2]),
        (40, 64, None, [1] * 8),
        (40, 5, None, [4, 4]),
        (40, 1, None, [8]),
        (40, 64, 4, [4, 4]),
    ],
)
def test_a_cpu_gets_as_many_workers_as_clips_cores_and_memory_allow(
    clips: int, gigabytes: int, threads: int | None, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=gigabytes << 30))
    assert [spec.threads for spec in local_specs(("cpu",), None, threads, clips)] == expected


class FakeCluster:
    """Says what a cluster has."""

    def __init__(self, **resources: float) -> None:
        self._resources = resources

    def cluster_resources(self) -> dict[str, float]:
        return self._resources


def test_a_cluster_is_divided() -> None:
    assert ray_specs(FakeCluster(GPU=2, CPU=16), None, None) == [
        WorkerSpec("ray cuda 1", "cuda", 8),
        WorkerSpec("ray cuda 2", "cuda", 8),
    ]
    assert [spec.threads for spec in ray_specs(FakeCluster(CPU=8), None, None)] == [4, 4]
    assert [spec.threads for spec in ray_specs(FakeCluster(CPU=8), 4, None)] == [2] * 4
    with pytest.raises(DeviceError, match="fewer --workers"):
        ray_specs(FakeCluster(CPU=2), 4, None)
    with pytest.raises(DeviceError, match="--workers 1 or fewer"):
        ray_specs(FakeCluster(GPU=1, CPU=8), 2, None)


def test_without_ray_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"pip install 'stma-cli\[ray\]'"):
        connect(None)
