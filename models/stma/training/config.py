"""Configuration of training: every default has a reason beside it."""

import math
from dataclasses import dataclass, field
from math import inf

from stma.config import MODEL_CONFIGS, ModelConfig
from stma.errors import SettingsError


@dataclass(frozen=True)
class DataConfig:
    """What a training clip looks like."""

    crop: int = 256  # pixels; matching is learned at stride 8, so small crops already teach it
    # first + three scored; what is beyond `LossConfig.scored_frames` may be watched before those
    frames: int = 4
    max_objects: int = 3  # more cost time and teach little beyond competition between objects
    real_share: float = 0.5  # real motion against the variety of the stills
    max_gap: int = 6  # frames between two of a clip; grows the motion that is seen
    paste_probability: float = 0.4  # a cut-out moves over a real clip: occlusion and distractors
    # layers of a synthetic clip blur as they move: most fast objects do in a video
    blur_probability: float = 0.4
    # of things that come up beside an object: its new sides are refused then
    newcomer_probability: float = 0.0
    leaver_probability: float = 0.0  # of something in front of an object that leaves it
    shadow_probability: float = 0.0  # of a shadow under a pasted cut-out, which is no part of the object
    # of a cut-out from a real clip, with the motion of its own that it has there
    moving_probability: float = 0.0
    # of a real object's twin beside it, and of composed ones that look alike
    look_alike_probability: float = 0.0
    absence_probability: float = 0.0  # of a pasted object that is out of sight for a part of the clip
    # of a clip that begins with a close-up: most of the background comes later
    close_up_probability: float = 0.0
    bars_probability: float = 0.12  # bars pass in front, as rails, posts and branches do: an object in pieces


@dataclass(frozen=True)
class LossConfig:
    """What a clip is scored by, and what is done to its memory."""

    label_weight: float = 0.5  # auxiliary loss on the label propagation, from true labels
    region_weight: float = 0.15  # dense correspondence on synthetic clips: what generalises to unseen objects
    # the ID association must find objects by itself: the labels would do it for it
    coarse_weight: float = 0.5
    quality_weight: float = 0.2  # its own head alone learns from it, so the weight only sets that pace
    scored_frames: int = 3  # at the end of a clip: the memory is written and read twice with a gradient
    scored_windows: int = 1  # times that so many frames in a row are scored: more where watching costs most
    # scored frames read labels as in a video, near by; else from everywhere, which teaches keys
    windowed: bool = False
    disturbed_share: float = 0.3  # of remembered masks: short clips drift too little to teach mending
    # of the labels that teach the keys: soft enough that many cells get a gradient
    key_sharpness: float = 1.7
    # of the labels that the decoder reads, drawn per step: around `MemoryConfig.label_sharpness`, or the decoder trusts
    # less in a video what it learned on crops
    label_sharpness: tuple[float, float] = (2.5, 5.0)
    readout_sharpness: tuple[float, float] = (1.0, 2.2)  # the same of the ID association
    # of remembered masks, as `MemoryConfig.mask_sharpness`: a video feeds these back
    mask_sharpness: float = 2.0

    refine_edges: bool = False  # half of the scores on masks refined as `SegmenterConfig.refine_edges` does

    @property
    def teaches_keys(self) -> bool:
        """Whether any loss asks for the labels that true labels would give."""
        return self.label_weight > 0 or self.region_weight > 0

    def __post_init__(self) -> None:
        if not 0 <= self.disturbed_share <= 1:
            raise SettingsError(f"disturbed_share is {self.disturbed_share}", "use a share of 0 to 1")
        if not 1 <= self.mask_sharpness < math.inf:
            raise SettingsError(f"mask_sharpness is {self.mask_sharpness}", "use 1 (as predicted) or more")
        for name in ("scored_frames", "scored_windows"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}", "use 1 or more")
        for name in ("label_sharpness", "readout_sharpness"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise SettingsError(
                    f"{name} is drawn from {low} to {high}", "use two positive numbers, lowest first"
                )


@dataclass(frozen=True)
class TrainConfig:
    """How the network is trained."""

    model: str = "small"
    network: ModelConfig | None = None  # a shape of its own in place of the one that goes by that name
    without: tuple[str, ...] = ()  # parts of `stma.training.ablation` that stay off: what is each worth?
    initial_weights: str | None = None  # a shipped model or weights file to go on from; None = random
    # modules that start at random all the same, by the beginning of their names
    renewed: tuple[str, ...] = ()
    only: tuple[str, ...] = ()  # the modules that learn, named alike; none named = all of them
    steps: int | None = None  # end after so many steps, or
    minutes: float | None = None  # after so many minutes, whichever is first; the schedule follows
    batch: int = 4  # clips per step: what a CPU step of about a second holds
    uses: int = 1  # times that a clip is learned from: more where clips are made slower than they are used
    learning_rate: float = 8e-4  # AdamW peak
    # batch norms as in inference: right for a trained network, a fresh one has none yet
    fixed_statistics: bool = False
    # share of the run after which batch norms keep theirs: the end learns as inference is
    statistics_until: float = 1.0
    embedding_rate: float = 1.0  # factor on the rate of embedding and label propagation; 0 freezes both
    weight_decay: float = 0.02  # little data, but batch norm and synthesis regularise already
    warm_up: int = 100  # steps of linear warm-up
    clip_norm: float = 3.0  # gradients through the written masks spike early on
    ema: float = 0.998  # averages the last few hundred steps; what is validated and shipped
    # share of hardest pixels in the cross entropy, first to last
    hard_pixels: tuple[float, float] = (1.0, 0.25)
    loss: LossConfig = field(default_factory=LossConfig)
    seed: int = 0
    threads: int = 2
    workers: int = 1  # data processes beside the model
    validate_minutes: float = 20.0
    checkpoint_minutes: float = 4.0
    device: str = "auto"
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        if self.uses < 1 or self.batch % self.uses:
            raise SettingsError(
                f"a batch of {self.batch} clips cannot be made of clips that are used {self.uses} times",
                "use a divisor of the batch",
            )
        for name in ("minutes", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise SettingsError(f"{name} is {value}", "use a number above 0")
        for name, least in (("steps", 1), ("seed", 0), ("validate_minutes", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise SettingsError(f"{name} is {value}", f"use {least} or more")
        if not 0 <= self.statistics_until <= 1:
            raise SettingsError(f"statistics_until is {self.statistics_until}", "use a share of 0 to 1")

    @property
    def shape(self) -> ModelConfig:
        """The shape of the network.

        Raises:
            SettingsError: `model` is no known name.
        """
        if self.model not in MODEL_CONFIGS:
            raise SettingsError(f"model {self.model!r} is unknown", f"use one of {', '.join(MODEL_CONFIGS)}")
        return self.network or MODEL_CONFIGS[self.model]


@dataclass(frozen=True)
class ValidationSettings:
    """What is scored, and by how many.

    Attributes:
        sets: names of sets; one that is named twice is scored once.
        clips: per composed set.
        frames: per real clip, None for all.
        seed: of the composed clips.
        workers: processes that share the clips.
        threads: CPU threads of all of them together.
        sized: whether the working size of each clip is what suits its objects, see `size_for_objects`.
    """

    sets: tuple[str, ...]
    clips: int = 8  # enough for a mean to a point or two
    frames: int | None = None
    seed: int = 0
    workers: int = 1  # a process of its own costs seconds to start
    threads: int = 1
    sized: bool = False  # a size is typed otherwise


CALIBRATION_DATA = DataConfig(
    crop=320,
    frames=30,  # as long as it takes to lose an object
    real_share=0.25,  # the network knows the training sequences: it loses less there than it will elsewhere
    max_gap=3,
    moving_probability=0.5,
    absence_probability=0.5,  # an object that is away must not look like one that was lost
    leaver_probability=0.25,
    newcomer_probability=0.1,
    shadow_probability=0.3,
)


@dataclass(frozen=True)
class FitConfig:
    """How the confidence learns, see `stma.training.confidence`."""

    # also what judges masks that can be seen: it warns of more that are lost, but ranks worse
    visible: bool = False
    steps: int = 1500  # a second or two: the head has 9,000 weights
    batch: int = 256  # masks
    # AdamW peak, then half a cosine: a head that learns anew, or faster, warns too often
    learning_rate: float = 3e-4
    ridge: float = 0.01  # on the weights that judge empty masks: few clips have many of these
    held_share: float = 0.2  # of the clips, kept apart to tell what was gained
    seed: int = 0
