"""Validation with the real `Segmenter` under the DAVIS protocol."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stma.config import SegmenterConfig
from stma.evaluation import DatasetScore, SequenceScore, SequenceScorer
from stma.network.model import STMA
from stma.segmenter import Segmenter
from stma.training.distributed import Group
from stma.training.pool import Sequence, read_image, read_label


def score_sequence(
    model: STMA, sequence: Sequence, config: SegmenterConfig, stop: int | None = None
) -> SequenceScore:
    """Follow the objects of a labelled sequence from the first frame that shows each, and score the rest.

    Args:
        model: network to validate.
        sequence: labelled clip; late objects are given on the frame where they first appear.
        config: settings of the `Segmenter`.
        stop: number of frames to use; None for all.
    """
    segmenter = Segmenter(model, config)
    scorer = SequenceScorer(sequence.name)
    for pair in sequence.frames[:stop]:
        truth = read_label(pair.label)
        new = truth.copy()
        for known in segmenter.object_ids:
            new[truth == known] = 0
        prediction = segmenter.step(read_image(pair.image), new if new.any() else None)
        scorer.add(truth, prediction.labels)
    return scorer.result()


@dataclass(frozen=True)
class Validator:
    """Scores a model on sequences, shared out among the processes of a training run."""

    sequences: tuple[Sequence, ...]
    config: SegmenterConfig
    stop: int | None = None  # frames per sequence; shorter while training, all for a figure that is reported

    def __call__(self, model: STMA, group: Group) -> dict[str, Any]:
        """Mean J, F and J&F over sequences and the J&F of each; the same on every process."""
        mine = [
            score_sequence(model, sequence, self.config, self.stop)
            for sequence in self.sequences[group.rank :: group.size]
        ]
        every: list[SequenceScore] = []
        for part in group.gather(mine):
            assert isinstance(part, Iterable)
            every.extend(part)
        mean = DatasetScore(tuple(every)).over_sequences
        return {
            "J": round(mean.region, 4),
            "F": round(mean.boundary, 4),
            "J&F": round(mean.mean, 4),
            "sequences": {s.name: round(s.score.mean, 4) for s in sorted(every, key=lambda s: s.name)},
        }
