"""Configurations: one frozen dataclass per concern, a reason beside each default."""

import math
from dataclasses import dataclass, field

from stma.errors import SettingsError

AFFINITY_LIMIT = 1 << 20  # cells of affinity at once: bounds memory at any frame size, stays in the cache
GPU_AFFINITIES = 1 << 26  # the same on a GPU: 128 MiB in 16 bits
KEPT_GRAPHS = 4  # CUDA graphs of a step: with and without a previous entry, and those of before a correction
# cells of a query tile of windows: small tiles waste little of one, large ones fill the matrix units
NARROW_TILE = 8
WIDE_TILE = 16  # of windows wider than a tile: they read nearly the same cells, in a quarter of the products
USUAL_SIZE = 480  # shorter side in pixels that the model works at, where no object is small
LEARNING_SIDE = 448  # pixels of the clips that adaptation learns from
LEARNING_OBJECTS = 8  # that one of them shows at most: its memory grows with each
NEWEST_WINDOW = 8  # cells that labels travel from the newest frame in training: look-alikes lie farther off
WINOGRAD_PRODUCTS = 64 * 128  # channels in times out from which a convolution in fp32 on a CPU is transformed


def tile_side(window: int) -> int:
    """Cells of a query tile in rows and in columns, for windows of this size."""
    return WIDE_TILE if window > NARROW_TILE else NARROW_TILE


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the network. The numbers are ours: the paper's are not published."""

    stem_width: int = 32  # stride 2 is bound by memory traffic, so it stays thin
    widths: tuple[int, int, int] = (64, 128, 256)  # strides 4, 8, 16: equal arithmetic per stride
    # residual blocks per stride; depth pays least where maps are large
    blocks: tuple[int, int, int] = (1, 2, 2)
    stml_blocks: int = 2  # object information needs two blocks to reach the test stream
    heads: int = 4  # 64 channels per head keep fused attention on its fast path
    feed_forward_ratio: int = 2  # the convolutions before it already mix channels
    tokens_per_object: int = 4  # half of them summarise the foreground, half the background around it
    key_width: int = 64  # matching happens in this space at both strides
    value_width: int = 128  # per object and memory cell; the cost of the readout is proportional to it
    decoder_width: int = 64  # the only part that is paid once per object at stride 8
    initial_temperature: float = 15.0  # sharp enough to match, soft enough to pass gradients at the start

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name in ("blocks", "stml_blocks") else 1
            if not min(value if isinstance(value, tuple) else (value,)) >= least:
                raise SettingsError(f"{name} of the network is {value}", f"use {least} or more")
        if self.widths[2] % self.heads:
            raise SettingsError(
                f"width {self.widths[2]} at stride 16 cannot be split into {self.heads} heads",
                "choose a width that is a multiple of the heads",
            )
        if self.tokens_per_object % 2:
            raise SettingsError(
                f"tokens_per_object is {self.tokens_per_object}, but half of them are foreground",
                "use an even number",
            )


MODEL_CONFIGS: dict[str, ModelConfig] = {
    "small": ModelConfig(),
    "tiny": ModelConfig(
        stem_width=8,
        widths=(16, 24, 32),
        blocks=(1, 1, 1),
        heads=2,
        tokens_per_object=2,
        key_width=16,
        value_width=16,
        decoder_width=16,
    ),
}


@dataclass(frozen=True)
class MemoryConfig:
    """Policy of the spatial-temporal memory bank."""

    interval: int = 5  # write every fifth frame: neighbours in time are nearly the same
    capacity: int = 4  # temporary entries kept; with the permanent ones this bounds time and memory
    previous_frame: bool = True  # the newest frame follows fast change; it costs one entry
    label_recent: int = 4  # newest entries that labels travel from: more than two mend what one has lost
    label_window: int | None = 16  # cells of 8 pixels they may travel from those; None = anywhere
    newest_window: int | None = 16  # the same from the newest: 8 lose 6 points at a fifth of the frame rate
    annotated_window: int | None = 32  # the same from an annotated frame, which cannot have drifted
    label_sharpness: float = 3.7  # a frame has many times the cells of a training crop, and they add up
    readout_sharpness: float = 1.5  # of the ID association, for the same reason
    # of predicted masks: an object remembered as half there fades over many frames
    mask_sharpness: float = 2.0
    certainty_power: float = 4.0  # how much less doubtful cells of predicted masks count when they are read
    references: int = 2  # frames that the STML blocks read: the annotated one and the newest entry

    def __post_init__(self) -> None:
        for name in ("interval", "capacity", "references", "label_recent"):
            if getattr(self, name) < 1:
                raise SettingsError(f"memory {name} is {getattr(self, name)}", "use 1 or more")
        for name in ("label_sharpness", "readout_sharpness"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"memory {name} is {getattr(self, name)}", "use a number above 0")
        for name in ("label_window", "newest_window", "annotated_window"):
            window = getattr(self, name)
            if window is not None and window < 0:
                raise SettingsError(f"memory {name} is {window} cells", "use 0 or more, or None for anywhere")
        if not 1 <= self.mask_sharpness < math.inf:
            raise SettingsError(
                f"memory mask_sharpness is {self.mask_sharpness}", "use 1 (as predicted) or more"
            )
        if not self.certainty_power >= 0:
            raise SettingsError(
                f"memory certainty_power is {self.certainty_power}", "use 0 (all cells count alike) or more"
            )


@dataclass(frozen=True)
class SegmenterConfig:
    """How a video is processed."""

    # small videos are enlarged; None keeps the video's own, see `size_for_objects`
    size: int | None = USUAL_SIZE
    chunk: int = 4  # frames of a step, embedded at once unless by parts: larger fills a GPU, costs memory
    device: str = "auto"  # cuda, then mps, then cpu
    precision: str = "auto"  # the fastest 16-bit format the device computes natively, else fp32
    refine_edges: bool = True  # outlines follow the frame's colours: 0.7 points of J for 2 to 12 ms a frame
    # on CUDA replay a frame's step as one graph: starting its parts takes longer than they do
    graphs: bool = True
    # on a CPU look only where an object may be: a third less time on most videos, masks alike
    focus: bool = True
    # steps of learning from the first annotated frame: 14 to 19 s for 20 on two cores, so by request
    adapt: int = 0
    memory: MemoryConfig = field(default_factory=MemoryConfig)

    def __post_init__(self) -> None:
        if self.adapt < 0:
            raise SettingsError(f"adapt is {self.adapt} steps", "use 0 (none) or more")
        if self.size is not None and self.size < 32:
            raise SettingsError(f"size is {self.size} pixels", "use 32 or more")
        if self.chunk < 1:
            raise SettingsError(f"chunk is {self.chunk} frames", "use 1 or more")
