"""Rank correlation and warnings."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from stma.calibration import calibration
from stma.errors import DataError


def test_rank_correlation_is_that_of_scipy_with_ties() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.integers(0, 8, 200) / 8
    region = np.clip(confidence + generator.normal(0, 0.3, 200), 0, 1)
    result = calibration(list(confidence), list(region))
    assert result.spearman == pytest.approx(spearmanr(confidence, region).statistic)
    assert result.pairs == 200


def test_warnings_are_right_when_the_mask_is_lost() -> None:
    result = calibration([0.9, 0.2, 0.3, 0.8], [0.9, 0.1, 0.7, 0.2])
    assert result.warnings == 2
    assert result.precision == 0.5
    assert result.recall == 0.5
    many = calibration([0.1, 0.2, 0.3, 0.9], [0.1, 0.8, 0.9, 0.9])
    assert (many.precision, many.recall) == (pytest.approx(1 / 3), 1.0)
    fine = calibration([0.9, 0.9], [0.9, 0.8])
    assert fine.precision is None
    assert fine.recall is None
    assert fine.spearman == 0.0


def test_lengths_must_agree() -> None:
    with pytest.raises(DataError, match="one of each per mask"):
        calibration([0.5], [])
