"""The clips of `stma validate` followed one after the other, or by several processes."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing import get_context
from typing import TYPE_CHECKING

from stma.errors import DataError, SettingsError

if TYPE_CHECKING:
    import numpy as np

    from stma.config import SegmenterConfig
    from stma.network.model import STMA
    from stma.training.pool import TrainingPool
    from stma.training.validate import ClipResult

REAL, SPARSE, REVERSED, LOOPED = "real", "sparse", "reversed", "looped"
SPARSE_EVERY = 5  # frames of a real clip: 25 frames per second become 5
LOOPED_FRAMES = 501


@dataclass(frozen=True)
class ValidationSettings:
    """What is scored, and by how many.

    Attributes:
        sets: names of sets; one that is named twice is scored once.
        clips: per composed set.
        frames: per real clip, None for all.
        seed: of the composed clips.
        workers: processes that share the clips.
        threads: CPU threads of all of them together.
        sized: whether the working size of each clip is what suits its objects, see `size_for_objects`.
    """

    sets: tuple[str, ...]
    clips: int = 8  # enough for a mean to a point or two
    frames: int | None = None
    seed: int = 0
    workers: int = 1  # a process of its own costs seconds to start
    threads: int = 1
    sized: bool = False  # a size is typed otherwise


@dataclass(frozen=True)
class ClipJob:
    """Clip number `number` of a set."""

    set: str
    number: int


@dataclass(frozen=True)
class _Follower:
    """All that it takes to follow a clip; travels to the processes once."""

    model: "STMA"
    pool: "TrainingPool"
    config: "SegmenterConfig"
    settings: ValidationSettings

    def follow(self, job: ClipJob) -> "ClipResult":
        from stma.resize import size_for_objects
        from stma.training.stress import KINDS, stress_clip
        from stma.training.validate import follow_clip, looped_frames, read_frames, reversed_frames

        frames: Iterable[tuple[np.ndarray, np.ndarray]]  # pictures and true labels
        if job.set in KINDS:
            clip = stress_clip(self.pool, job.set, job.number, self.settings.seed)
            name, frames = clip.name, zip(clip.frames, clip.labels, strict=True)
        else:
            sequence = self.pool.validation[job.number]
            name = sequence.name
            if job.set == LOOPED:
                frames = looped_frames(sequence, LOOPED_FRAMES)
            elif job.set == REVERSED:
                frames = reversed_frames(sequence, self.settings.frames)
            else:
                frames = read_frames(sequence, self.settings.frames, SPARSE_EVERY if job.set == SPARSE else 1)
        config = self.config
        if self.settings.sized:
            first = next(rest := iter(frames))
            config, frames = replace(config, size=size_for_objects(first[1])), chain([first], rest)
        return follow_clip(self.model, name, frames, config)


def run_sets(
    model: "STMA",
    pool: "TrainingPool",
    config: "SegmenterConfig",
    settings: ValidationSettings,
    on_clip: Callable[[str, "ClipResult"], None] = lambda name, result: None,
) -> dict[str, list["ClipResult"]]:
    """Follow every clip of every set; `on_clip` is told of each, in their order.

    Raises:
        SettingsError: a set is unknown.
        DataError: the folder lacks what a set needs.
    """
    from stma.training.stress import KINDS

    known = (REAL, SPARSE, REVERSED, LOOPED, *KINDS)
    for name in settings.sets:
        if name not in known:
            raise SettingsError(f"no set is called {name!r}; use {', '.join(known)}")
    if not pool.validation:
        raise DataError('there is no sequence to score; name some under "validation" in splits.json')
    counts = {name: settings.clips if name in KINDS else len(pool.validation) for name in settings.sets}
    jobs = [ClipJob(name, number) for name, count in counts.items() for number in range(count)]
    results: dict[str, list[ClipResult]] = {name: [] for name in counts}
    with _followed(_Follower(model, pool, config, settings), jobs) as every:
        for job, result in zip(jobs, every, strict=True):
            on_clip(job.set, result)
            results[job.set].append(result)
    return results


@contextmanager
def _followed(follower: _Follower, jobs: list[ClipJob]) -> "Iterator[Iterator[ClipResult]]":
    """The results of all jobs, in their order; on an error or Ctrl-C nothing more is begun."""
    settings = follower.settings
    workers = min(settings.workers, len(jobs))
    if workers <= 1:
        yield map(follower.follow, jobs)
        return
    threads = max(1, settings.threads // workers)
    executor = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (follower, threads))
    try:
        yield executor.map(_follow, jobs)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


_here: list[_Follower] = []  # of a worker process


def _begin(follower: _Follower, threads: int) -> None:
    from stma.process import prepare_process

    prepare_process(threads)
    _here.append(follower)


def _follow(job: ClipJob) -> "ClipResult":
    return _here[0].follow(job)
