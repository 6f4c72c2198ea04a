"""A vote over neighbouring frames, which takes out flicker; frames out = frames in."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def smoothed(
    items: Iterable[tuple[Item, np.ndarray]], radius: int, settled: Callable[[Item], bool]
) -> Iterator[tuple[Item, np.ndarray]]:
    """Let the frames around each frame vote on its pixels.

    A pixel takes another id only where more than half of the frames from `radius` before to `radius` after agree
    on it; at both ends of the stream there are fewer voters.

    Args:
        items: anything that stands for a frame, with its (H, W) integer object ids.
        radius: frames on each side, 1 or more; so many are held back.
        settled: whether a frame votes but is not changed itself.
    """
    voters: deque[tuple[Item, np.ndarray]] = deque(maxlen=2 * radius + 1)
    for entry in items:
        voters.append(entry)
        if len(voters) > radius:
            yield _elected(voters, len(voters) - 1 - radius, settled)
    for position in range(max(0, len(voters) - radius), len(voters)):
        first = max(0, position - radius)
        yield _elected(list(voters)[first:], position - first, settled)


def _elected(
    voters: Sequence[tuple[Item, np.ndarray]], position: int, settled: Callable[[Item], bool]
) -> tuple[Item, np.ndarray]:
    item, current = voters[position]
    if settled(item):
        return item, current
    return item, majority([labels for _, labels in voters], current)


def majority(planes: Sequence[np.ndarray], current: np.ndarray) -> np.ndarray:
    """Return `current` with every pixel that more than half of `planes` see otherwise, and alike, as they see it.

    Args:
        planes: (H, W) integer object ids each.
        current: one of them.
    """
    differs = np.zeros(current.shape, bool)
    for plane in planes:
        differs |= plane != current
    if not differs.any():
        return current
    votes = np.stack([plane[differs] for plane in planes])  # (frames, pixels that are not unanimous)
    middle = len(planes) // 2
    candidate = np.partition(votes, middle, axis=0)[middle]  # what has more than half is in the middle
    wins = (votes == candidate).sum(0) * 2 > len(planes)
    result = current.astype(np.result_type(current, candidate))
    result[differs] = np.where(wins, candidate, current[differs])
    return result
