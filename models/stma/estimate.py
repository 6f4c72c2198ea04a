"""Memory that a run needs, from the shapes of its tensors: the same number for one minute of video or ten hours.

With H x W the working size, P = H W, N = P / 256 cells at stride 16, K objects, B frames embedded at once, i bytes per
number, C, v, k the width at stride 16, of the values and of the keys, and R = N / 4 reference tokens of a frame:

    entry        (R C + N (5 k + K v)) i + 20 N (K + 1)           `MemoryEntry`; its masks and certainties are float32
    bank         entries (annotated + capacity + previous) x entry
                 + (B - 1) 4 N k i: the previous frame's keys at stride 8 are a view of its chunk
                 + 2 m R C i per STML block for the keys and values of m references
    graphs       on CUDA: what recorded steps read, up to four times the entries, and the activations once more, since
                 they keep their memory; not yet held against a measurement
    activations  the largest of the stages of one step, each of them a sum over the maps that live at once; on a GPU one
                 of them is label propagation, many tiles at once, another the labels of a frame, from maps of its size
                 for each object, counted from their shapes; the libraries' workspace and the chunk's frames come
                 besides
    weights      (numbers + 27 C D for each 3x3 kernel that fp32 on a CPU transforms, see `transformed_numbers`) i
    learning     with adaptation what its graph holds before the first mask, in place of bank and activations
    process      interpreter, libraries, and the loaded float32 weights
    total        on a CPU the sum of these and 0.3 of the activations, which the allocator keeps in pieces
"""

import math
from dataclasses import dataclass
from typing import Protocol

from stma.config import (
    AFFINITY_LIMIT,
    GPU_AFFINITIES,
    KEPT_GRAPHS,
    LEARNING_OBJECTS,
    LEARNING_SIDE,
    WINOGRAD_PRODUCTS,
    MemoryConfig,
    ModelConfig,
    SegmenterConfig,
    tile_side,
)

FLOAT32 = 4
LABEL_BYTES = 12  # per pixel of the frame: indices in two stages, where they are mixed, ids
GPU_LABEL_BYTES = 44  # the same on a GPU, with colours in two stages
GPU_LABEL_MAPS = 2  # float32 and of the frame's size, of each object and the background, besides
MEBIBYTE = 1 << 20
PROCESS = 450 * MEBIBYTE  # interpreter and libraries: fitted to runs on Linux, of one setting per process
GPU_PROCESS = 1550 * MEBIBYTE  # the same with CUDA's libraries: fitted to runs on an H100, as is
GPU_WORKSPACE = 32 * MEBIBYTE  # of cuBLAS on a Hopper card
KEPT_BY_ALLOCATOR = 0.3  # of the activations, on a CPU, in pieces that fit nothing; fitted as well
LEARNING = 138 * MEBIBYTE  # graph of one clip of `LEARNING_SIDE` pixels, fitted alike
LEARNING_NUMBERS = 69 * MEBIBYTE  # for each byte of a number besides
LEARNING_OBJECT = 61 * MEBIBYTE  # for each object in it


class NumberFormat(Protocol):
    """A torch.dtype or a numpy.dtype; only its size matters."""

    @property
    def itemsize(self) -> int:
        """Bytes per number."""


@dataclass(frozen=True)
class WeightCount:
    """Numbers of a network.

    Attributes:
        loaded: as its file holds them.
        running: as the segmenter runs it, with batch norms folded.
    """

    loaded: int
    running: int


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a run needs at its peak.

    Attributes:
        weights: the network in the run's precision.
        bank: everything that stays from frame to frame: `entries` and what they keep alive, cached references.
        entries: the memory bank's tensors alone.
        activations: largest sum of temporary maps within one step.
        frames: decoded frames and label maps that wait on either side of the model, in main memory.
        process: interpreter and libraries, and the float32 weights as loaded, in main memory.
        learning: of adaptation, before anything is remembered.
        graphs: of recorded steps, on CUDA.
    """

    weights: int
    bank: int
    entries: int
    activations: int
    frames: int
    process: int
    learning: int = 0
    graphs: int = 0

    @property
    def device(self) -> int:
        """What lies on the computing device; on a CPU `total` counts."""
        return self.weights + max(self.bank + self.activations + self.graphs, self.learning)

    @property
    def total(self) -> int:
        """Resident memory of a process that computes on the CPU."""
        following = self.bank + int((1 + KEPT_BY_ALLOCATOR) * self.activations)
        return self.weights + max(following, self.learning) + self.frames + self.process


@dataclass(frozen=True)
class ClipShape:
    """What matters of a clip.

    Attributes:
        working_size: (height, width) in pixels, multiples of 16 (`Segmenter.working_size`).
        objects: objects that are followed, all of them from the first annotation on.
        annotated_frames: frames with a mask; each stays in the bank for good.
        frame_size: (height, width) of the video in pixels, by default the working size.
        frames_held: decoded frames that wait around the model, by default those of one chunk.
    """

    working_size: tuple[int, int]
    objects: int
    annotated_frames: int = 1
    frame_size: tuple[int, int] | None = None
    frames_held: int | None = None


@dataclass(frozen=True)
class Machine:
    """What a run computes on, and in which numbers.

    Attributes:
        dtype: precision of the model, with int8 of what is not in 8 bits.
        int8: whether convolutions of whole frames are done in 8 bits.
        device: its type, "cpu", "cuda" or "mps".
    """

    dtype: NumberFormat
    int8: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class _Shape:
    """What the tensors of a step follow from.

    Attributes:
        height, width: working size in pixels.
        objects: objects that are followed.
        chunk: frames of a step.
        together: frames that are embedded at once.
        item: bytes per number.
    """

    height: int
    width: int
    objects: int
    chunk: int
    together: int
    item: int

    @property
    def pixels(self) -> int:
        return self.height * self.width

    @property
    def cells(self) -> int:
        """At stride 16."""
        return self.pixels // 256

    @property
    def tokens(self) -> int:
        """Reference tokens: averages of 2x2 cells at stride 16, of fewer at the border."""
        return -(-self.height // 32) * -(-self.width // 32)


def estimate_memory(
    config: ModelConfig,
    segmenter: SegmenterConfig,
    clip: ClipShape,
    machine: Machine,
    weights: WeightCount | None = None,
) -> MemoryEstimate:
    """Estimate the memory of a run, whatever its length.

    Args:
        config: of the network.
        segmenter: of the run; its size, device and precision do not count beside those of `clip` and `machine`.
        clip: the clip.
        machine: what computes.
        weights: numbers of the network; by default counted on one that is built for it, which needs torch.
    """
    memory, on_gpu, item = segmenter.memory, machine.device != "cpu", machine.dtype.itemsize
    in_parts = segmenter.focus and not on_gpu  # frames are embedded one by one
    together = 1 if in_parts else segmenter.chunk
    shape = _Shape(*clip.working_size, clip.objects, segmenter.chunk, together, item)
    count = clip.annotated_frames + memory.capacity + memory.previous_frame
    entries = count * _entry(config, shape)
    shared = shape.cells * 4 * config.key_width * item * (together - 1)
    references = min(memory.references, clip.annotated_frames + memory.capacity)
    cache = 2 * config.stml_blocks * references * shape.tokens * config.widths[2] * item
    frame_pixels = math.prod(clip.frame_size or clip.working_size)
    held = segmenter.chunk if clip.frames_held is None else clip.frames_held
    numbers = weights or count_weights(config)
    transformed = transformed_numbers(config, machine.int8) if item == FLOAT32 and not on_gpu else 0
    windows = _windows(config, memory, shape) if on_gpu else 0
    per_pixel = GPU_LABEL_BYTES + GPU_LABEL_MAPS * (clip.objects + 1) * FLOAT32 if on_gpu else LABEL_BYTES
    activations = _activations(config, shape, references, max(windows, frame_pixels * per_pixel))
    if on_gpu:
        # frames as they are: they are scaled there, and outlines follow them
        activations += GPU_WORKSPACE + segmenter.chunk * 3 * frame_pixels
    return MemoryEstimate(
        weights=(numbers.running + transformed) * item,
        bank=entries + memory.previous_frame * shared + cache,
        entries=entries,
        activations=activations,
        frames=held * 4 * frame_pixels,  # RGB and labels
        process=(GPU_PROCESS if on_gpu else PROCESS) + numbers.loaded * FLOAT32,
        learning=_learning(shape) if segmenter.adapt else 0,
        graphs=KEPT_GRAPHS * entries + activations if segmenter.graphs and machine.device == "cuda" else 0,
    )


def _learning(shape: _Shape) -> int:
    """What the graph of one clip holds, in a copy of the network that was fitted at the `small` one."""
    graph = LEARNING + LEARNING_NUMBERS * shape.item + LEARNING_OBJECT * min(shape.objects, LEARNING_OBJECTS)
    return int(graph * min(1.0, min(shape.height, shape.width) / LEARNING_SIDE) ** 2)


def _entry(config: ModelConfig, shape: _Shape) -> int:
    """Bytes of one `MemoryEntry` of one clip."""
    keys_and_values = shape.cells * (5 * config.key_width + shape.objects * (config.value_width + 1))
    numbers = shape.tokens * config.widths[2] + keys_and_values
    return numbers * shape.item + shape.cells * (shape.objects + 1) * 5 * FLOAT32


def count_weights(config: ModelConfig) -> WeightCount:
    """Count the numbers of a network; nothing is allocated for it."""
    import torch

    from stma.network.model import STMA

    with torch.device("meta"):
        model = STMA(config)
    loaded = sum(parameter.numel() for parameter in model.parameters())
    running = loaded + sum(buffer.numel() for buffer in model.buffers())
    # To fold the norms here would be arithmetic on meta tensors, for which torch imports its compiler: 0.8 s.
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            running -= 3 * norm.num_features + 1  # two parameters, two statistics, a count: one bias is left
    return WeightCount(loaded, running)


def transformed_numbers(config: ModelConfig, int8: bool = False) -> int:
    """Numbers that the weights of a network grow by in fp32 on a CPU, where 36 stand for the 9 of a 3x3 kernel; with
    int8 only of those that are not in 8 bits."""
    width4, width8, _ = config.widths
    value, wide, thin = config.value_width, config.decoder_width, config.decoder_width // 2
    kernels = [
        *((value // 2, value, 1), (value, value, 2), (2 * value, value, 1)),  # memory encoder
        *((value, wide, 1), (wide, wide, 5), (wide, thin, 1), (thin, thin, 2)),  # decoder
    ]
    if not int8:
        kernels += [
            *((width, width, 2 * blocks) for width, blocks in zip(config.widths, config.blocks, strict=True)),
            *((width8, width8, 1), (width8, config.key_width, 1)),  # the embedding's maps at stride 8
            *((width8, wide, 1), (width4, thin, 1)),  # from the embedding into the decoder
        ]
    products = (
        inputs * outputs * count
        for inputs, outputs, count in kernels
        if inputs * outputs >= WINOGRAD_PRODUCTS
    )
    return (36 - 9) * sum(products)


def _activations(config: ModelConfig, shape: _Shape, references: int, labels: int) -> int:
    """Largest of the stages: the frame's embedding, references, readout, decoder, and what labels take besides."""
    pixels, cells, objects, item = shape.pixels, shape.cells, shape.objects, shape.item
    width4, width8, width16 = config.widths
    maps = pixels * width4 // 16 + cells * (4 * (width8 + config.key_width) + width16)
    features = shape.together * item * maps
    first = 3 + config.stem_width / 4 + 4 * width4 / 16  # input, stem, and a residual block at stride 4
    embedding = int(shape.together * item * pixels * first)
    values = objects * config.value_width
    reference = 3 * references * item * cells * (width16 + values)  # reference tokens are few
    sums = 5 * cells * values * FLOAT32  # of two entries, their total, and the readout in two layouts
    readout = item * AFFINITY_LIMIT + sums
    thin = config.decoder_width // 2
    decoder = item * pixels // 16 * (thin + 5 * thin * objects)  # a residual block at stride 4 per object
    # logits and soft masks wait for their chunk
    outcomes = shape.chunk * 2 * (objects + 1) * FLOAT32 * pixels // 16
    return max(embedding, features + outcomes + max(reference, readout, decoder, labels))


def _windows(config: ModelConfig, memory: MemoryConfig, shape: _Shape) -> int:
    """Affinities of the largest kind of entries at stride 8, and the keys and labels in the window of each tile."""
    height, width, largest = shape.height // 8, shape.width // 8, 0
    for window, entries in (
        (memory.label_window, max(1, memory.label_recent - 1)),
        (memory.annotated_window, 1),
    ):
        if window is None or window >= max(height, width):
            largest = max(largest, min(GPU_AFFINITIES, (height * width) ** 2))
            continue
        tile = tile_side(window)
        rows, columns = -(-height // tile), -(-width // tile)
        seen = entries * (tile + 2 * window) ** 2  # cells that a tile reads
        at_once = columns * min(rows, max(1, GPU_AFFINITIES // (columns * tile**2 * seen)))
        largest = max(largest, at_once * seen * (tile**2 + config.key_width + shape.objects + 3))
    return shape.item * largest
