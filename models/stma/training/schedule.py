"""Progress of a run and what follows from it."""

import math

from stma.training.config import TrainConfig


def progress(config: TrainConfig, step: int, seconds: float) -> float:
    """Share of the run that is done, 0..1: by steps or by minutes, whichever is further."""
    shares = [0.0]
    if config.steps is not None:
        shares.append(step / config.steps)
    if config.minutes is not None:
        shares.append(seconds / (60 * config.minutes))
    return min(1.0, max(shares))


def learning_rate(peak: float, warm_up: int, step: int, done: float) -> float:
    """Linear warm-up over steps, then half a cosine over progress, so that every run ends annealed."""
    warm = min(1.0, (step + 1) / max(1, warm_up))
    return peak * warm * 0.5 * (1 + math.cos(math.pi * done))


def hard_share(config: TrainConfig, done: float) -> float:
    """Share of hardest pixels: its first value for a fifth of the run, then falling to its last at 70 % of it."""
    first, last = config.hard_pixels
    return first + (last - first) * min(1.0, max(0.0, (done - 0.2) / 0.5))
