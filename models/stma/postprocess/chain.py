"""The stream that applies the steps."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from stma.postprocess.borders import grow_objects, shrink_objects
from stma.postprocess.config import PostprocessConfig
from stma.postprocess.parts import fill_holes, keep_largest_parts, remove_specks
from stma.postprocess.smoothing import smoothed

Item = TypeVar("Item")


def clean_labels(labels: np.ndarray, config: PostprocessConfig) -> np.ndarray:
    """Apply the steps that look at one frame alone, that is all but smoothing.

    Args:
        labels: (H, W) integer object ids, 0 = background; not changed.
        config: the steps.

    Returns:
        (H, W) of the same dtype.
    """
    if config.remove_specks:
        labels = remove_specks(labels, config.remove_specks)
    if config.fill_holes:
        labels = fill_holes(labels, config.fill_holes)
    if config.largest_part:
        labels = keep_largest_parts(labels)
    if config.grow > 0:
        labels = grow_objects(labels, config.grow)
    elif config.grow < 0:
        labels = shrink_objects(labels, -config.grow)
    return labels


def postprocessed(
    items: Iterable[tuple[Item, np.ndarray]],
    config: PostprocessConfig,
    settled: Callable[[Item], bool] = lambda item: False,
) -> Iterator[tuple[Item, np.ndarray]]:
    """Apply all steps to a stream of frames; as many come out as go in, in the same order.

    Args:
        items: anything that stands for a frame, with its (H, W) integer object ids.
        config: the steps. Smoothing holds back `config.smooth` frames; nothing else is held.
        settled: whether smoothing must not change a frame, as for those that someone has annotated.
    """
    for item, labels in smoothed(items, config.smooth, settled) if config.smooth else items:
        yield item, clean_labels(labels, config)
