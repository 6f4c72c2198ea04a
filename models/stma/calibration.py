"""How far a confidence can be trusted: rank correlation with the true IoU, and warnings of lost objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stma.errors import DataError

LOST = 0.5  # IoU below which an object counts as lost, and confidence below which a user is warned


@dataclass(frozen=True)
class Calibration:
    """Agreement of confidence and J over frames and objects.

    Attributes:
        spearman: rank correlation, -1..1; 0 where either does not vary.
        precision: share of the warnings (confidence below `LOST`) that were right (J below `LOST`); None without any.
        recall: share of the lost masks that were warned of; None when nothing was lost.
        warnings: number of warnings.
        pairs: number of masks.
    """

    spearman: float
    precision: float | None
    recall: float | None
    warnings: int
    pairs: int


def calibration(confidence: Sequence[float], region: Sequence[float]) -> Calibration:
    """Compare confidences with J, mask by mask.

    Args:
        confidence: per mask, 0..1.
        region: J of the same masks, 0..1.

    Raises:
        DataError: when the lengths differ or nothing is given.
    """
    if len(confidence) != len(region) or not confidence:
        raise DataError(
            f"{len(confidence)} confidences and {len(region)} scores cannot be compared",
            "give one of each per mask",
        )
    expected, true = np.asarray(confidence, dtype=np.float64), np.asarray(region, dtype=np.float64)
    warned, lost = expected < LOST, true < LOST
    right = int((warned & lost).sum())
    return Calibration(
        spearman=_correlation(_ranks(expected), _ranks(true)),
        precision=right / int(warned.sum()) if warned.any() else None,
        recall=right / int(lost.sum()) if lost.any() else None,
        warnings=int(warned.sum()),
        pairs=len(expected),
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, equal values sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[inverse])


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / scale) if scale else 0.0
