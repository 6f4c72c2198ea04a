"""Replayed steps: the same results as called ones, in memory of their own."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stma.config import KEPT_GRAPHS, MODEL_CONFIGS, MemoryConfig, SegmenterConfig
from stma.frame_step import ModelSteps
from stma.network.model import STMA
from stma.segmenter import Segmenter
from stma.step_graphs import OFTEN, Recording, StepGraphs, kind_of, tensors_of
from stma.synthetic import SyntheticScene


@dataclass(frozen=True)
class Numbers:
    parts: tuple[Tensor, ...]
    factor: float
    absent: Tensor | None = None


class InPlace:
    """Records as CUDA does: a replay writes its results where the first one lies."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, step: Callable[[], Any]) -> Recording[Any]:
        self.recorded += 1
        result = step()

        def replay() -> None:
            self.replayed += 1
            for target, source in zip(tensors_of(result), tensors_of(step()), strict=True):
                target.copy_(source)

        return Recording(replay, result)


def weighted(inputs: Numbers) -> Numbers:
    return Numbers((inputs.factor * sum(inputs.parts, torch.zeros(())),), inputs.factor)


def test_results_are_those_of_the_step_and_stay() -> None:
    record = InPlace()
    graphs = StepGraphs(weighted, record)
    results = [graphs(Numbers((torch.full((2,), float(i)), torch.ones(2)), 3.0)) for i in range(2 * OFTEN)]
    assert [float(result.parts[0][1]) for result in results] == [3.0 * (i + 1) for i in range(2 * OFTEN)]
    assert (record.recorded, record.replayed) == (1, OFTEN + 1)


def test_plain_values_and_shapes_tell_kinds_apart() -> None:
    one, two = torch.zeros(1), torch.zeros(2)
    kinds = [
        Numbers((one,), 1.0),
        Numbers((one,), 2.0),
        Numbers((two,), 1.0),
        Numbers((one.double(),), 1.0),
        Numbers((one, one), 1.0),
        Numbers((one,), 1.0, one),
    ]
    assert len({kind_of(kind) for kind in kinds}) == len(kinds)
    assert kind_of(Numbers((one + 1,), 1.0)) == kind_of(kinds[0])


def test_few_graphs_are_kept() -> None:
    record = InPlace()
    graphs = StepGraphs(weighted, record)
    for _ in range(OFTEN):
        for size in range(1, KEPT_GRAPHS + 2):
            graphs(Numbers((torch.ones(size),), 1.0))
    assert record.recorded == KEPT_GRAPHS + 1
    graphs(Numbers((torch.ones(KEPT_GRAPHS + 1),), 1.0))  # one of those that are kept
    assert record.recorded == KEPT_GRAPHS + 1
    first = graphs(Numbers((torch.ones(1),), 1.0))  # no longer kept, and not yet seen often again
    assert record.recorded == KEPT_GRAPHS + 1
    assert first.parts[0].tolist() == [1.0]


def test_it_goes_on_where_nothing_can_be_recorded() -> None:
    def refuse(step: Callable[[], Any]) -> Recording[Any]:
        raise RuntimeError("out of memory")

    graphs = StepGraphs(weighted, refuse)
    inputs = Numbers((torch.ones(1),), 2.0)
    for _ in range(OFTEN - 1):
        graphs(inputs)
    with pytest.warns(UserWarning, match="out of memory.*goes on without"):
        found = graphs(inputs)
    assert found.parts[0].tolist() == [2.0]
    assert graphs(inputs).parts[0].tolist() == [2.0]


@pytest.mark.parametrize("interval", [2, 5])
def test_a_segmenter_follows_alike(interval: int) -> None:
    torch.manual_seed(5)
    model = STMA(MODEL_CONFIGS["tiny"]).eval()
    memory = MemoryConfig(interval=interval, capacity=2)
    config = SegmenterConfig(size=64, chunk=2, device="cpu", precision="fp32", focus=False, memory=memory)
    scene = SyntheticScene(64, 96, 2)
    called, replayed = Segmenter(model, config), Segmenter(model, config)
    record = InPlace()
    replayed._steps = ModelSteps(replayed.model, False, memory, record)
    for start in range(0, 48, 2):
        frames = [scene.frame(index)[0] for index in (start, start + 1)]
        masks = {0: scene.frame(start)[1]} if start in (0, 30) else {}
        for mine, theirs in zip(called.steps(frames, masks), replayed.steps(frames, masks), strict=True):
            assert np.array_equal(mine.labels, theirs.labels)
            assert np.allclose(mine.soft, theirs.soft, atol=1e-5)
            assert mine.confidence == pytest.approx(theirs.confidence, abs=1e-5)
    assert record.recorded >= 3
    assert record.replayed > 20


def test_a_segmenter_leaves_nothing_behind() -> None:
    segmenter = Segmenter(STMA(MODEL_CONFIGS["tiny"]).eval(), SegmenterConfig(size=64, device="cpu"))
    frame, labels = SyntheticScene(64, 96, 1).frame(0)
    segmenter.step(frame, labels)
    segmenter.step(frame)
    network = weakref.ref(segmenter.model)
    del segmenter
    assert network() is None  # at once, not when cycles are looked for
