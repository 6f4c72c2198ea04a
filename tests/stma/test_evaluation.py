"""The DAVIS semi-supervised protocol and identity switches on label maps that can be scored by hand."""

import numpy as np
import pytest

from stma.errors import DataError
from stma.evaluation import DatasetScore, IdentityCounter, ObjectScore, Score, SequenceScore, SequenceScorer


def label_map(*objects: tuple[int, int]) -> np.ndarray:
    """A 40x40 map; each object is (id, column), a 10x10 square from that column on."""
    labels = np.zeros((40, 40), dtype=np.uint8)
    for object_id, column in objects:
        labels[10:20, column : column + 10] = object_id
    return labels


def score(truth: list[np.ndarray], predictions: list[np.ndarray | None]) -> SequenceScore:
    scorer = SequenceScorer("clip")
    for true, predicted in zip(truth, predictions, strict=True):
        scorer.add(true, predicted)
    return scorer.result()


def test_first_and_last_frame_are_left_out() -> None:
    truth = [label_map((1, 5))] * 4
    wrong = np.zeros_like(truth[0])
    result = score(truth, [wrong, truth[1], wrong, wrong])
    assert result.objects == (ObjectScore(1, Score(0.5, 0.5), 2),)
    assert score(truth, [None, truth[1], truth[2], wrong]).score == Score(1.0, 1.0)


def test_region_is_the_mean_over_frames() -> None:
    truth = [label_map((1, 5))] * 4
    result = score(truth, [None, label_map((1, 10)), label_map((1, 5)), label_map()])
    assert result.score.region == pytest.approx((50 / 150 + 1) / 2)
    assert result.score.mean == pytest.approx((result.score.region + result.score.boundary) / 2)


def test_a_missing_object_counts_as_zero() -> None:
    truth = [label_map((1, 2), (2, 25))] * 4
    result = score(truth, [None] + [label_map((1, 2))] * 3)
    assert [item.score for item in result.objects] == [Score(1.0, 1.0), Score(0.0, 0.0)]
    assert result.score == Score(0.5, 0.5)


def test_a_swapped_identity_counts_as_zero() -> None:
    truth = [label_map((1, 2), (2, 25))] * 4
    assert score(truth, [None] + [label_map((2, 2), (1, 25))] * 3).score == Score(0.0, 0.0)


def test_an_object_that_left_and_is_not_predicted_is_right() -> None:
    truth = [label_map((1, 5)), label_map((1, 5)), label_map(), label_map()]
    assert score(truth, [None, truth[1], truth[2], truth[3]]).score == Score(1.0, 1.0)
    assert score(truth, [None, truth[1], truth[1], truth[1]]).score == Score(0.5, 0.5)


def test_a_late_object_is_scored_after_its_first_frame() -> None:
    early, both = label_map((1, 2)), label_map((1, 2), (9, 25))
    result = score([early, early, both, both, both], [None, early, early, both, early])
    assert result.objects == (ObjectScore(1, Score(1.0, 1.0), 3), ObjectScore(9, Score(1.0, 1.0), 1))
    assert result.notes == ("objects scored from the frame after their first appearance: 9",)


def test_an_empty_first_frame_waits_for_the_first_object() -> None:
    truth = [label_map(), label_map((3, 2)), label_map((3, 2)), label_map((3, 2))]
    result = score(truth, [None, None, truth[2], truth[3]])
    assert result.objects == (ObjectScore(3, Score(1.0, 1.0), 1),)


def test_unknown_ids_and_too_late_objects_are_noted() -> None:
    truth = [label_map((1, 2)), label_map((1, 2)), label_map((1, 2), (4, 25))]
    result = score(truth, [None, label_map((1, 2), (8, 25)), truth[2]])
    assert result.score == Score(1.0, 1.0)
    assert "unknown to the ground truth count as background: 8" in result.notes[0]
    assert "too late to be scored: 4" in result.notes[1]


def test_bad_sequences_are_named() -> None:
    one = label_map((1, 2))
    with pytest.raises(DataError, match="clip: frame 1 has no prediction"):
        score([one] * 3, [None] * 3)
    with pytest.raises(DataError, match="20x20 and the ground truth 40x40; scale the predictions"):
        score([one] * 3, [None, one[::2, ::2], one])
    with pytest.raises(DataError, match="three frames or more"):
        score([one] * 2, [one] * 2)
    with pytest.raises(DataError, match="with 0 objects"):
        score([label_map()] * 4, [label_map()] * 4)


def test_data_set_means_over_objects_and_over_sequences() -> None:
    good, bad = Score(1.0, 0.8), Score(0.4, 0.2)
    crowd = SequenceScore("crowd", tuple(ObjectScore(i, bad, 5) for i in (1, 2, 3)))
    alone = SequenceScore("alone", (ObjectScore(1, good, 5),))
    total = DatasetScore((crowd, alone))
    assert total.over_objects.region == pytest.approx(0.55)
    assert total.over_sequences.region == pytest.approx(0.7)
    assert total.over_sequences.mean == pytest.approx((0.7 + 0.5) / 2)
    with pytest.raises(DataError, match="at least one sequence"):
        _ = DatasetScore(()).over_objects


def two(left: int, right: int) -> np.ndarray:
    labels = np.zeros((8, 16), np.uint8)
    labels[:, 1:7], labels[:, 9:15] = left, right
    return labels


def test_every_change_of_owner_is_one_switch() -> None:
    counter = IdentityCounter()
    counter.add(two(1, 2), two(1, 2))
    counter.add(two(1, 2), two(2, 1))
    assert counter.switches == 2
    counter.add(two(1, 2), two(2, 1))
    assert counter.switches == 2, "staying wrong is no new switch"
    counter.add(two(1, 2), two(1, 2))
    assert counter.switches == 4


def test_identities_switched_from_the_start_count() -> None:
    counter = IdentityCounter()
    counter.add(two(1, 2), two(2, 1))
    assert counter.switches == 2


def test_a_lost_object_is_not_switched() -> None:
    counter = IdentityCounter()
    counter.add(two(1, 2), two(1, 0))
    counter.add(two(1, 2), two(1, 2))
    assert counter.switches == 0


def test_an_object_that_no_id_covers_by_half_has_no_other_owner() -> None:
    parted = two(2, 2)
    parted[:5, 1:7], parted[5:7, 1:7], parted[7:, 1:7] = 0, 2, 3  # five rows of eight are lost
    counter = IdentityCounter()
    counter.add(two(1, 0), parted)
    parted[3:5, 1:7] = 3  # five rows again, by two ids
    counter.add(two(1, 0), parted)
    assert counter.switches == 0
