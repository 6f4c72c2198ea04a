"""Runs an evaluation, sequence by sequence: label files in, scores out, one frame in memory at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from stma.baselines import Baseline, run_baseline
from stma.errors import DataError
from stma.evaluation import DatasetScore, SequenceScore, SequenceScorer
from stma_cli.masks.sequences import MaskSequence, pictures_of, predicted_sequence, read_sequence_labels


def score_all(scored: Path | Baseline, truth: Sequence[MaskSequence], console: Console) -> DatasetScore:
    """Score predictions, of which this is the folder, or a baseline, sequence by sequence.

    Args:
        scored: folder of all predictions, or what to run.
        truth: the ground-truth sequences.
        console: shows the progress where it is a terminal.

    Raises:
        StmaError: as `score_predictions` and `score_baseline` do.
    """
    shown = track(
        truth, description="Scoring", console=console, transient=True, disable=not console.is_terminal
    )
    return DatasetScore(
        tuple(
            score_predictions(scored, sequence, alone=len(truth) == 1)
            if isinstance(scored, Path)
            else score_baseline(scored, sequence)
            for sequence in shown
        )
    )


def score_predictions(predictions: Path, truth: MaskSequence, alone: bool) -> SequenceScore:
    """Score the predictions of one sequence.

    Args:
        predictions: folder of all predictions.
        truth: the ground-truth sequence.
        alone: it is the only one, so that `predictions` itself may hold the label PNGs.

    Raises:
        DataError: when a prediction is missing or has another size.
        MaskError: when a label PNG cannot be read.
    """
    predicted = predicted_sequence(predictions, truth, alone)
    wanted = MaskSequence(
        predicted.name,
        predicted.folder,
        {stem: predicted.labels[stem] for stem in truth.labels if stem in predicted.labels},
    )
    predicted_labels = read_sequence_labels(wanted)
    scorer = SequenceScorer(truth.name)
    for stem, labels in read_sequence_labels(truth):
        given = next(predicted_labels)[1] if stem in wanted.labels else None
        scorer.add(labels, given)
    return scorer.result()


def score_baseline(baseline: Baseline, truth: MaskSequence) -> SequenceScore:
    """Run a training-free baseline over the pictures of one sequence and score it.

    It is given the ground truth of each object on the first frame that shows it.

    Raises:
        DataError: when a picture is missing or unreadable, or its size is not that of its label PNG.
        MaskError: when a label PNG cannot be read.
    """
    pictures = pictures_of(truth)
    annotations = _first_appearances(truth)
    if not annotations:
        raise DataError(f"{truth.name} has no object in any frame", "leave it out with --sequences")
    followed = run_baseline(baseline, _frames(pictures, truth), annotations)
    scorer = SequenceScorer(truth.name)
    for (_, labels), predicted in zip(read_sequence_labels(truth), followed, strict=True):
        scorer.add(labels, predicted)
    return scorer.result()


def _first_appearances(truth: MaskSequence) -> dict[int, np.ndarray]:
    """Return, by position of the frame, label maps of the objects that appear there for the first time."""
    known = {0}
    annotations = {}
    for position, (_, labels) in enumerate(read_sequence_labels(truth)):
        new = set(np.unique(labels).tolist()) - known
        if new:
            annotations[position] = np.where(np.isin(labels, list(new)), labels, 0).astype(labels.dtype)
            known |= new
    return annotations


def _frames(pictures: list[Path], truth: MaskSequence) -> Iterator[np.ndarray]:
    from PIL import Image, UnidentifiedImageError

    for path, label_path in zip(pictures, truth.labels.values(), strict=True):
        try:
            with Image.open(label_path) as label_image:
                size = label_image.size
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"{path} cannot be read ({error})", "replace it by an intact picture") from error
        if pixels.shape[1::-1] != size:
            raise DataError(
                f"{path} is {pixels.shape[1]}x{pixels.shape[0]} and {label_path.name} is {size[0]}x{size[1]}",
                "scale the ground truth to the size of the pictures",
            )
        yield pixels
