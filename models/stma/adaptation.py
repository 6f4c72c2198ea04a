"""Adaptation: a network learns for a few seconds from the frame that a person marked, before it follows its objects.

It learns on clips made of that frame (`FrameClips`) how to read its features, which stay as they are. Then it goes only
a part of the way from what it knew to what it learned, which keeps what one frame does not show: Wortsman et al.,
Robust fine-tuning of zero-shot models (arXiv 2109.01903).
"""

import copy
from dataclasses import dataclass, field

import numpy as np
import torch

from stma.config import LEARNING_SIDE
from stma.device import learning_autocast
from stma.labels import ids_in
from stma.network.model import STMA
from stma.resize import model_size, resize_frame, resize_labels
from stma.training.clip import ClipBatch, run_clip
from stma.training.clips import TrainingClip
from stma.training.config import LossConfig
from stma.training.frame_clips import FrameClips
from stma.training.parameters import fix_statistics, freeze
from stma.training.schedule import learning_rate

MOST_OBJECTS = 254  # numbers of a uint8 label map but for one


@dataclass(frozen=True)
class AdaptationConfig:
    """How a network learns from one frame."""

    crop: int = LEARNING_SIDE  # pixels, as in training: nearly the height of the frame that the model sees
    frames: int = 4  # the first and three scored: the memory is written and read twice with a gradient
    learning_rate: float = 3e-4  # AdamW peak
    share: float = 0.3  # of the way to what was learned: 0.6 loses objects that turn or open their wings
    warm_up: int = 5  # steps: the first gradients of a frame are unlike any that trained the network
    clip_norm: float = 3.0  # as in training
    seed: int = 0  # of the stream of clips
    hard_pixels: float = 0.6  # share of the hardest pixels in the cross entropy, as at the end of training
    loss: LossConfig = field(
        default_factory=lambda: LossConfig(
            label_weight=0.0,  # the features stay, so nothing would learn from this one and the next
            region_weight=0.0,
            quality_weight=0.0,  # the head that judges masks knows failures that one frame does not show
            refine_edges=True,
        )
    )


def adapted(
    model: STMA,
    frame: np.ndarray,
    labels: np.ndarray,
    steps: int,
    size: int | None,
    device: torch.device,
    precision: torch.dtype,
    config: AdaptationConfig | None = None,
) -> STMA:
    """Let a copy of a network learn from one annotated frame.

    Args:
        model: the network, not yet prepared for inference; it stays as it is.
        frame: (H, W, 3) uint8 RGB.
        labels: (H, W) integer object ids, 0 = background; `LEAVE` counts as background.
        steps: clips to learn from; the same number gives the same weights on the same device.
        size: shorter side in pixels that the model will work at, as of `SegmenterConfig`.
        device: where it learns.
        precision: of products and convolutions, as of `learning_autocast`; weights stay in float32.
        config: how it learns.

    Returns:
        The copy, in evaluation mode on `device`; the model's own weights where the frame shows no object.
    """
    config = config or AdaptationConfig()
    height, width = model_size(labels.shape[0], labels.shape[1], size)
    if height < labels.shape[0]:
        frame, labels = resize_frame(frame, height, width), resize_labels(labels, height, width)
    numbered = _numbered(labels)
    with torch.inference_mode(False), torch.enable_grad():
        network = copy.deepcopy(model).to(device)
        if numbered.any():
            side = min(config.crop, height // 16 * 16, width // 16 * 16)
            clips = FrameClips(frame, numbered, side, config.frames, min(height, width))
            _learn(network, clips, steps, device, precision, config)
            _go_back(network, model, config.share)
    return network.eval().requires_grad_(False)


def _learn(
    network: STMA,
    clips: FrameClips,
    steps: int,
    device: torch.device,
    precision: torch.dtype,
    config: AdaptationConfig,
) -> None:
    network.train().requires_grad_(True)
    network.quality.requires_grad_(False)
    freeze(network)  # features that learn too take twice the time; what one clip gains by it another loses
    fix_statistics(network)
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, weight_decay=0.0, fused=device.type in ("cpu", "cuda"))
    for step in range(steps):
        rate = learning_rate(config.learning_rate, config.warm_up, step, step / steps)
        optimizer.param_groups[0]["lr"] = rate
        clip = clips.draw(np.random.default_rng((config.seed, step)))
        if clip is None:
            continue
        batch = clip_batch(clip, clips.objects).to(device)
        generator = torch.Generator().manual_seed(step)
        with learning_autocast(device, precision):
            loss = run_clip(network, batch, config.hard_pixels, config.loss, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        if torch.nn.utils.clip_grad_norm_(learning, config.clip_norm).isfinite():
            optimizer.step()


@torch.no_grad()
def _go_back(network: STMA, model: STMA, share: float) -> None:
    """Leave only a share of the way from a model's parameters to the network's."""
    for mine, before in zip(network.parameters(), model.parameters(), strict=True):
        mine.copy_(torch.lerp(before.to(mine.device), mine, share))


def clip_batch(clip: TrainingClip, objects: int) -> ClipBatch:
    """One clip as a batch, with columns for so many objects."""
    return ClipBatch(*(part[None] for part in clip.tensors(objects)))


def _numbered(labels: np.ndarray) -> np.ndarray:
    """Object ids as numbers from 1 without gaps."""
    ids = ids_in(labels)[:MOST_OBJECTS]
    result = np.zeros(labels.shape, dtype=np.uint8)
    for number, found in enumerate(ids, start=1):
        result[labels == found] = number
    return result
