"""Steps that are replayed as CUDA graphs: a step of hundreds of small operations is started as one.

A graph reads and writes the same memory each time. So what a step is given is copied to where the graph reads, and what
it returns is copied away from where the graph writes.
"""

import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor

from stma.config import KEPT_GRAPHS

OFTEN = 8  # times that a kind of inputs is seen before a graph is made: while a memory fills up, few are

Inputs = TypeVar("Inputs")
Result = TypeVar("Result")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Recording(Generic[Result]):
    """A recorded step: `replay` computes `result` anew, in place."""

    replay: Callable[[], None]
    result: Result


Recorder = Callable[[Callable[[], Any]], Recording[Any]]


@dataclass(frozen=True)
class _Graph(Generic[Result]):
    """A recording and the tensors that it reads."""

    inputs: list[Tensor]
    recording: Recording[Result]


class StepGraphs(Generic[Inputs, Result]):
    """Calls a step; on CUDA by graphs, one for each kind of inputs, once a kind has been seen often enough.

    Inputs and results are tensors, and dataclasses and tuples of these and of plain values. Kinds differ in shapes,
    types and plain values. The step must not wait for the device, nor depend on anything else that changes.
    """

    def __init__(self, step: Callable[[Inputs], Result], record: Recorder | None) -> None:
        """Prepare.

        Args:
            step: what to call.
            record: makes recordings, see `cuda_recorder`; None calls the step each time.
        """
        self._step, self._record = step, record
        self._seen: Counter[Hashable] = Counter()
        self._graphs: OrderedDict[Hashable, _Graph[Result]] = OrderedDict()

    def __call__(self, inputs: Inputs) -> Result:
        """What the step returns for these inputs, in memory of its own."""
        if self._record is None:
            return self._step(inputs)
        kind = kind_of(inputs)
        if kind not in self._graphs:
            self._seen[kind] += 1
            if self._seen[kind] < OFTEN:
                return self._step(inputs)
            graph = self._recorded(inputs, self._record)
            if graph is None:
                return self._step(inputs)
            self._graphs[kind] = graph
            if len(self._graphs) > KEPT_GRAPHS:
                oldest, _ = self._graphs.popitem(last=False)
                del self._seen[oldest]
        self._graphs.move_to_end(kind)
        graph = self._graphs[kind]
        _copy(graph.inputs, tensors_of(inputs))
        graph.recording.replay()
        return with_tensors(graph.recording.result, Tensor.clone)

    def _recorded(self, inputs: Inputs, record: Recorder) -> _Graph[Result] | None:
        own = with_tensors(inputs, Tensor.clone)
        try:
            return _Graph(tensors_of(own), record(lambda: self._step(own)))
        except RuntimeError as error:  # no memory left for it, or a driver that cannot
            self._record = None
            warnings.warn(
                f"no CUDA graph could be recorded ({error}); it goes on without, slower", stacklevel=2
            )
            return None


def cuda_recorder(device: torch.device) -> Recorder:
    """Records steps as CUDA graphs on a device. They share their memory, so no two may run at once."""
    pool = torch.cuda.graph_pool_handle()

    def record(step: Callable[[], Any]) -> Recording[Any]:
        with torch.cuda.device(device):
            aside = _aside(device)
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                step()  # libraries choose their ways and take their memory now: while recording they may not
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Threads that decode or write meanwhile may call CUDA as well.
            with torch.cuda.graph(graph, pool=pool, stream=aside, capture_error_mode="thread_local"):
                result = step()

        def replay() -> None:
            with torch.cuda.device(device):
                graph.replay()

        return Recording(replay, result)

    return record


@cache
def _aside(device: torch.device) -> torch.cuda.Stream:
    """The stream of a device that graphs are recorded on: one for all, since cuBLAS keeps memory for each."""
    return torch.cuda.Stream(device)


def with_tensors(value: Value, change: Callable[[Tensor], Tensor]) -> Value:
    """The same value with each of its tensors changed."""
    if isinstance(value, Tensor):
        return cast(Value, change(value))
    if isinstance(value, tuple):
        return cast(Value, tuple(with_tensors(part, change) for part in value))
    if is_dataclass(value) and not isinstance(value, type):
        changed = {field.name: with_tensors(getattr(value, field.name), change) for field in fields(value)}
        return cast(Value, replace(value, **changed))
    return value


def tensors_of(value: object) -> list[Tensor]:
    """All tensors of a value, always in the same order."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in _parts(value) or () for tensor in tensors_of(part)]


def kind_of(value: object) -> Hashable:
    """What a graph depends on: shapes and types of all tensors, and all plain values."""
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype
    parts = _parts(value)
    return value if parts is None else (type(value), *map(kind_of, parts))


def _parts(value: object) -> tuple[object, ...] | None:
    """What a tuple or a dataclass consists of; None of a plain value."""
    if isinstance(value, tuple):
        return value
    if is_dataclass(value):
        return tuple(getattr(value, field.name) for field in fields(value))
    return None


def _copy(targets: list[Tensor], sources: list[Tensor]) -> None:
    """Copy tensors, those of a type at once."""
    by_type: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
    for target, source in zip(targets, sources, strict=True):
        pair = by_type.setdefault(target.dtype, ([], []))
        pair[0].append(target)
        pair[1].append(source)
    for some, from_these in by_type.values():
        torch._foreach_copy_(some, from_these)
