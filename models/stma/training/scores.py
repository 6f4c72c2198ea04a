"""What a validation finds: of a model in training, and of a set of clips that `stma validate` scores."""

from dataclasses import asdict, dataclass
from typing import Any

from stma.calibration import Calibration
from stma.evaluation import MEAN, Score

DIGITS = 4  # of scores in the log of a run


@dataclass(frozen=True)
class ValidationScores:
    """Scores of a model in training: the means over the sequences, and J&F of each sequence by its name."""

    mean: Score
    sequences: dict[str, float]

    def plain(self) -> dict[str, Any]:
        """What the log of a run says of them, rounded."""
        means = {measure: round(value, DIGITS) for measure, value in self.mean.plain().items()}
        return {
            **means,
            "sequences": {name: round(self.sequences[name], DIGITS) for name in sorted(self.sequences)},
        }


@dataclass(frozen=True, kw_only=True)
class SetSummary:
    """Scores of a model on the clips of one set.

    Attributes:
        name: of the set.
        mean: over the clips.
        sequences: J&F of each clip by its name, in their order.
        seconds_per_frame: of `Segmenter.step` alone, mean over the clips.
        switches: of identities, in all clips together.
        confidence: how far it can be trusted, over all masks.
        drift: mean J early and late in clips that are looped; None for other sets.
    """

    name: str
    mean: Score
    sequences: dict[str, float]
    seconds_per_frame: float
    switches: int
    confidence: Calibration
    drift: tuple[float, float] | None = None

    @property
    def worst(self) -> str:
        """Name of the clip with the lowest J&F."""
        return min(self.sequences, key=self.sequences.__getitem__)

    def plain(self) -> dict[str, Any]:
        """The content of a row of the JSON file."""
        row: dict[str, Any] = {
            "set": self.name,
            "clips": len(self.sequences),
            **self.mean.plain(),
            "worst": {"name": self.worst, MEAN: self.sequences[self.worst]},
            "seconds per frame": self.seconds_per_frame,
            "switches": self.switches,
            "confidence": asdict(self.confidence),
            "sequences": self.sequences,
        }
        if self.drift is not None:
            row["early J"], row["late J"] = self.drift
        return row
