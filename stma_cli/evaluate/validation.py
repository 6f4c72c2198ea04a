"""What `stma validate` does: a model, perhaps without some of its parts, follows the clips of validation sets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stma.config import SegmenterConfig
from stma.process import prepare_process
from stma.training.ablation import switch_off
from stma.training.config import ValidationSettings
from stma.training.pool import scan
from stma.training.scores import SetSummary
from stma.training.validate import ClipResult
from stma.training.validation_sets import run_sets, summary
from stma.weights import load_model
from stma.weights_file import ModelInfo


@dataclass(frozen=True)
class ScoredModel:
    """A model and its scores, set by set."""

    model: ModelInfo
    sets: list[SetSummary]


def score_model(
    data: Path,
    model: str,
    without: Sequence[str],
    config: SegmenterConfig,
    settings: ValidationSettings,
    say: Callable[[str], None],
) -> ScoredModel:
    """Score a model on sets of clips.

    Args:
        data: training folder.
        model: name or weights file.
        without: parts of the network that are switched off.
        config: how the clips are followed.
        settings: which clips, and by how many processes.
        say: takes a line about each clip when it is scored.

    Raises:
        StmaError: the folder, the model or the settings cannot be used.
    """

    def tell(name: str, result: ClipResult) -> None:
        score = result.score.score
        say(f"{name}  {result.score.name}  J {100 * score.region:.1f}  F {100 * score.boundary:.1f}")

    prepare_process(settings.threads)
    loaded = load_model(model)
    switch_off(loaded.model, without)
    results = run_sets(loaded.model, scan(data), config, settings, tell)
    return ScoredModel(loaded.info, [summary(name, every) for name, every in results.items()])
