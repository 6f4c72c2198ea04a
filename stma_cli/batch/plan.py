"""What a batch has to do, decided before any worker starts: per clip a job, or why there is none."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from stma.errors import StmaError
from stma_cli.batch.clips import Pair
from stma_cli.batch.jobs import ClipJob, ClipOutcome, Status
from stma_cli.batch.pairing import Pairing
from stma_cli.batch.settings import BatchSettings
from stma_cli.batch.standing import ClipStanding, Standing, look
from stma_cli.batch.storage import LocalStorage, Storage
from stma_cli.result_layout import OVERLAY_FILE


@dataclass(frozen=True)
class PlannedClip:
    """One clip of a batch.

    Attributes:
        pair: the clip and its masks.
        job: what to do, or None.
        outcome: why nothing is to be done, or None.
        reason: why something is to be done, such as "new" or "size 480 -> 240".
    """

    pair: Pair
    job: ClipJob | None
    outcome: ClipOutcome | None
    reason: str = ""


def plan(settings: BatchSettings, pairing: Pairing, storage: Storage, weights: str) -> list[PlannedClip]:
    """Decide what to do with each clip; problems of a clip become its outcome.

    Args:
        settings: of the batch.
        pairing: clips and masks.
        storage: where results are.
        weights: SHA-256 of the weights.
    """
    return [_planned(settings, pair, storage, weights) for pair in pairing.pairs]


def largest_first(jobs: Iterable[ClipJob]) -> list[ClipJob]:
    """For several workers: a long clip taken last would leave all others idle. Bytes stand for the length of a clip,
    which nobody has counted; clips of one size stay in their order."""
    return sorted(jobs, key=_bytes, reverse=True)


def _bytes(job: ClipJob) -> int:
    """Size of a clip's file, or of all files in its folder."""
    video = job.settings.video
    try:
        if not video.is_dir():
            return video.stat().st_size
        return sum(entry.stat().st_size for entry in os.scandir(video))
    except OSError:
        return 0  # the worker will say what is wrong


def _planned(settings: BatchSettings, pair: Pair, storage: Storage, weights: str) -> PlannedClip:
    name = pair.clip.name
    if pair.problem is not None:
        return _failed(pair, pair.problem)
    own = replace(
        settings.template,
        video=pair.clip.path.resolve(),
        masks=tuple(pair.masks),
        start=pair.start or 0,
        end=pair.end,
        objects=pair.objects if pair.objects is not None else settings.template.objects,
    )
    try:
        finding = look(storage, name, own, weights, OVERLAY_FILE if settings.overlay else None)
    except StmaError as error:
        return _failed(pair, str(error))
    if finding.standing is Standing.FOREIGN and not settings.force:
        return _failed(
            pair,
            f"{settings.out}/{name} holds {finding.reason}, which no run of stma has left; choose another --out, or "
            "add --force to write into it, replacing files of the same name",
        )
    if finding.standing is Standing.COMPLETE and not settings.force:
        outcome = ClipOutcome(name, Status.UNCHANGED, frames=finding.frames, message="complete already")
        return PlannedClip(pair, None, outcome)
    # at a URL the masks would have to be fetched first
    only_draw = finding.standing is Standing.UNDRAWN and isinstance(storage, LocalStorage)
    job = ClipJob(
        name,
        own,
        ours=finding.standing is not Standing.FOREIGN,
        only_draw=only_draw and not settings.force,
    )
    return PlannedClip(pair, job, None, _reason(finding))


def _reason(finding: ClipStanding) -> str:
    if finding.standing is Standing.CHANGED:
        return f"changed: {finding.reason}"
    if finding.standing is Standing.COMPLETE:
        return "again, by --force"
    told = finding.standing in (Standing.DAMAGED, Standing.UNDRAWN)
    return finding.reason if told else finding.standing.value


def _failed(pair: Pair, problem: str) -> PlannedClip:
    return PlannedClip(pair, None, ClipOutcome(pair.clip.name, Status.FAILED, message=problem))
