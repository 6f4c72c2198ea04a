"""Which frame to annotate next: where a corrected mask would mend most of what follows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stma_cli.report_page.events import Event, Kind
from stma_cli.report_page.results import Results

MOST = 4  # suggestions; after these a new run says more
LEAST_GAIN = 1.0  # as much as one frame that is surely wrong
_USUAL_SPREAD = 0.08  # of the confidence; no reason for doubt
_RISK_LOST = 0.5  # of the first frame away; falls over the window, as an object that is long away has left
_RISK_GONE = 0.05  # later
_RISK_RETURN = 0.3  # it may be another object that came
_RETURN_ROWS = 5
_RISK_FLICKER = 0.5
_RISK_JUMP = 0.6  # falls over the window
_WINDOW_SECONDS = 1.0  # how long a correction is taken to help
_WINDOW_LIMITS = (10, 60)  # frames
_LEAST_SHARE = 0.25  # of the doubt in a window; objects with less are not the reason
_NEAR_ANNOTATION = 2  # frames; there is a mask already


@dataclass(frozen=True)
class Suggestion:
    """A frame worth a mask.

    Attributes:
        row: of `Results`.
        object_ids: the objects in doubt there, the worst first.
        events: what speaks for it.
        gain: how much doubt lies in the frames that follow; for the order only.
    """

    row: int
    object_ids: tuple[int, ...]
    events: tuple[Event, ...]
    gain: float


def suggest(results: Results, events: Sequence[Event]) -> list[Suggestion]:
    """Return the frames to annotate, the most useful first; none where nothing is in doubt.

    Each frame and object has a risk in 0..1 from its confidence and the events. The window of frames with the
    greatest sum is taken, the suggestion is the frame in it where the doubt sets in, and its risk is removed
    before the next one is looked for.
    """
    window = window_of(results)
    risk = _risk(results, events, window)
    blocked = np.zeros(len(results.frames), bool)
    for row in results.annotated_rows:
        blocked[max(0, row - _NEAR_ANNOTATION) : row + _NEAR_ANNOTATION + 1] = True
    found: list[Suggestion] = []
    while len(found) < MOST:
        total = risk.sum(axis=1)
        sums = np.concatenate([[0.0], np.cumsum(total)])
        stops = np.minimum(np.arange(len(total)) + window, len(total))
        gain = np.round(sums[stops] - sums[: len(total)], 6)  # the first of equal ones
        begin = int(gain.argmax())
        if gain[begin] < LEAST_GAIN:
            break
        span = slice(begin, begin + window)
        shares = risk[span].sum(axis=0)
        columns = [column for column in np.argsort(-shares) if shares[column] >= _LEAST_SHARE * gain[begin]]
        doubt = risk[span, columns].sum(axis=1)
        rows = begin + np.flatnonzero((doubt >= 0.5 * doubt.max()) & ~blocked[span])
        if rows.size:
            ids = tuple(results.ids[column] for column in columns)
            near = tuple(
                e for e in events if e.object_id in ids and e.last >= begin and e.first < begin + window
            )
            found.append(Suggestion(int(rows[0]), ids, near, float(gain[begin])))
        risk[max(0, begin - window // 4) : begin + window] = 0
    return found


def window_of(results: Results) -> int:
    """Return how many frames a correction is taken to help."""
    return int(np.clip(round(_WINDOW_SECONDS * results.rate), *_WINDOW_LIMITS))


def _risk(results: Results, events: Sequence[Event], window: int) -> np.ndarray:
    """Return (F, K) float64 in 0..1."""
    visible = results.area > 0
    risk = np.zeros(results.area.shape)
    for place in range(len(results.ids)):
        seen = visible[:, place]
        if seen.any():
            usual = np.percentile(results.confidence[seen, place], 80)
            drop = (usual - _USUAL_SPREAD - results.confidence[seen, place]) / max(usual, 1e-6)
            risk[seen, place] = np.clip(drop, 0, 1)
    fall = np.linspace(1, 0, window, endpoint=False)
    for event in events:
        column: np.ndarray = risk[:, results.ids.index(event.object_id)]
        here = column[event.first : event.last + 1]
        after = column[event.first : event.first + window]
        if event.kind is Kind.LOST:
            away = np.full(len(here), _RISK_GONE)
            falling = (_RISK_LOST * fall)[: len(away)]
            away[: len(falling)] = np.maximum(away[: len(falling)], falling)
            here += away
            column[event.last + 1 : event.last + 1 + _RETURN_ROWS] += _RISK_RETURN
        elif event.kind is Kind.FLICKER:
            here += _RISK_FLICKER
        elif event.kind is Kind.JUMP:
            after += _RISK_JUMP * fall[: len(after)]
    return np.clip(risk, 0, 1)
