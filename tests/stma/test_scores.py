"""What a validation writes to JSON."""

import json

from stma.calibration import Calibration
from stma.evaluation import ObjectScore, Score, SequenceScore
from stma.training.scores import SetSummary, ValidationScores
from stma.training.validate import ClipResult, MaskResult
from stma.training.validation_sets import LOOPED, REAL, summary


def followed(name: str, score: float, switches: int) -> ClipResult:
    """A clip of one object, on whose early masks J is 1 and on whose late ones 0.5."""
    early, late = MaskResult(40, 1, 0.9, 1.0), MaskResult(499, 1, 0.4, 0.5)
    objects = (ObjectScore(1, Score(score, score / 2), 2),)
    return ClipResult(SequenceScore(name, objects), switches, (early, late), 0.25)


def test_a_set_is_written_as_one_row() -> None:
    found = summary(REAL, [followed("a", 0.75, 1), followed("b", 0.25, 2)])
    assert (found.worst, found.drift) == ("b", None)
    row = json.loads(json.dumps(found.plain()))
    confidence = row.pop("confidence")
    assert row == {
        "set": "real",
        "clips": 2,
        "J": 0.5,
        "F": 0.25,
        "J&F": 0.375,
        "worst": {"name": "b", "J&F": 0.1875},
        "seconds per frame": 0.25,
        "switches": 3,
        "sequences": {"a": 0.5625, "b": 0.1875},
    }
    assert Calibration(**confidence) == found.confidence
    assert (confidence["warnings"], confidence["pairs"]) == (2, 4)


def test_a_looped_set_tells_early_from_late() -> None:
    found: SetSummary = summary(LOOPED, [followed("a", 0.8, 0)])
    assert (found.plain()["early J"], found.plain()["late J"]) == (1.0, 0.5)


def test_the_log_of_a_run_has_rounded_scores_by_name() -> None:
    scores = ValidationScores(Score(0.123456, 0.5), {"b": 1 / 3, "a": 0.25})
    assert list(scores.plain().items()) == [
        ("J", 0.1235),
        ("F", 0.5),
        ("J&F", 0.3117),
        ("sequences", {"a": 0.25, "b": 0.3333}),
    ]
    assert list(scores.plain()["sequences"]) == ["a", "b"]
