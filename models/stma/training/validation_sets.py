"""The sets of clips that `stma validate` scores, followed one clip after the other, or by several processes."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, cycle, islice
from multiprocessing import get_context

import numpy as np

from stma.calibration import calibration
from stma.config import SegmenterConfig
from stma.errors import DataError, SettingsError
from stma.evaluation import DatasetScore
from stma.network.model import STMA
from stma.process import prepare_process
from stma.resize import size_for_objects
from stma.training.config import ValidationSettings
from stma.training.pool import TrainingPool, VideoSequence
from stma.training.scores import SetSummary
from stma.training.stress import KINDS, require_sources, stress_clip
from stma.training.validate import ClipResult, follow_clip, read_frames, require_scorable

REAL, SPARSE, REVERSED, LOOPED = "real", "sparse", "reversed", "looped"
SPARSE_EVERY = 5  # frames of a real clip: 25 frames per second become 5
LOOPED_FRAMES = 501
EARLY, LATE = (40, 60), (480, 500)  # frames of a looped clip whose J is compared


@dataclass(frozen=True)
class _NumberedClip:
    """Clip number `number` of a set."""

    set: str
    number: int


@dataclass(frozen=True)
class _Follower:
    """All that it takes to follow a clip; travels to the processes once."""

    model: STMA
    pool: TrainingPool
    config: SegmenterConfig
    settings: ValidationSettings

    def follow(self, job: _NumberedClip) -> ClipResult:
        frames: Iterable[tuple[np.ndarray, np.ndarray]]  # pictures and true labels
        if job.set in KINDS:
            clip = stress_clip(self.pool, job.set, job.number, self.settings.seed)
            name, frames = clip.name, zip(clip.frames, clip.labels, strict=True)
        else:
            sequence = played(self.pool.validation[job.number], job.set, self.settings.frames)
            name, frames = sequence.name, read_frames(sequence)
        config = self.config
        if self.settings.sized:
            first = next(rest := iter(frames))
            config, frames = replace(config, size=size_for_objects(first[1])), chain([first], rest)
        return follow_clip(self.model, name, frames, config)


def played(sequence: VideoSequence, name: str, count: int | None = None) -> VideoSequence:
    """The frames of a sequence that the set `name` follows, in its order.

    real: those before `count`, None for all. sparse: every fifth of these. reversed: from the last frame to the first,
    so that what grew shrinks, and what a close-up did not show comes into view; the last `count`. looped:
    `LOOPED_FRAMES` forward and backward in turn, so that no cut is seen.
    """
    frames = sequence.frames
    if name == LOOPED:
        tour = frames + frames[-2:0:-1]
        return replace(sequence, frames=tuple(islice(cycle(tour), LOOPED_FRAMES)))
    frames = frames[::-1] if name == REVERSED else frames
    return replace(sequence, frames=frames[: count : SPARSE_EVERY if name == SPARSE else 1])


def run_sets(
    model: STMA,
    pool: TrainingPool,
    config: SegmenterConfig,
    settings: ValidationSettings,
    on_clip: Callable[[str, ClipResult], None] = lambda name, result: None,
) -> dict[str, list[ClipResult]]:
    """Follow every clip of every set; `on_clip` is told of each, in their order.

    Raises:
        SettingsError: a set is unknown.
        DataError: the folder lacks what a set needs.
    """
    known = (REAL, SPARSE, REVERSED, LOOPED, *KINDS)
    for name in settings.sets:
        if name not in known:
            raise SettingsError(f"no set is called {name!r}", f"use {', '.join(known)}")
    if not pool.validation:
        raise DataError("there is no sequence to score", 'name some under "validation" in splits.json')
    for name in settings.sets:
        _require_clips(pool, name, settings.frames)
    counts = {name: settings.clips if name in KINDS else len(pool.validation) for name in settings.sets}
    jobs = [_NumberedClip(name, number) for name, count in counts.items() for number in range(count)]
    results: dict[str, list[ClipResult]] = {name: [] for name in counts}
    with _followed(_Follower(model, pool, config, settings), jobs) as every:
        for job, result in zip(jobs, every, strict=True):
            on_clip(job.set, result)
            results[job.set].append(result)
    return results


def _require_clips(pool: TrainingPool, name: str, count: int | None) -> None:
    if name in KINDS:
        require_sources(pool)
        return
    for sequence in pool.validation:
        used = played(sequence, name, count)
        try:
            require_scorable(used)
        except DataError as error:
            raise DataError(
                f"the set {name} uses {len(used.frames)} frames: {error.problem}",
                f"{error.fix}, or leave out the set",
            ) from error


@contextmanager
def _followed(follower: _Follower, jobs: list[_NumberedClip]) -> Iterator[Iterator[ClipResult]]:
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
    prepare_process(threads)
    _here.append(follower)


def _follow(job: _NumberedClip) -> ClipResult:
    return _here[0].follow(job)


def summary(name: str, results: list[ClipResult]) -> SetSummary:
    """What the results of one set say together."""
    masks = [mask for result in results for mask in result.masks]
    return SetSummary(
        name=name,
        mean=DatasetScore(tuple(result.score for result in results)).over_sequences,
        sequences={result.score.name: result.score.score.mean for result in results},
        seconds_per_frame=_mean([result.seconds_per_frame for result in results]),
        switches=sum(result.switches for result in results),
        confidence=calibration([m.confidence for m in masks], [m.region for m in masks]),
        drift=_drift(results) if name == LOOPED else None,
    )


def _drift(results: list[ClipResult]) -> tuple[float, float]:
    early, late = (_mean([result.region(*frames) for result in results]) for frames in (EARLY, LATE))
    return early, late


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
