"""Exponential moving average of a model's weights."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class AveragedModel(Generic[Network]):
    """Keeps a copy of a model whose weights and statistics follow it slowly; the copy is what is validated."""

    def __init__(self, model: Network, decay: float) -> None:
        self.model: Network = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Follow the model; early on the average is short so that it forgets the random start."""
        decay = min(self.decay, (1 + step) / (10 + step))
        source = model.state_dict()
        pairs = [(mine, source[name].detach()) for name, mine in self.model.state_dict().items()]
        moving = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in moving], [theirs for _, theirs in moving], 1 - decay)
        for mine, theirs in pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)

    @torch.no_grad()
    def put_back_statistics(self, model: nn.Module) -> None:
        """Give a model the average's buffers in place of its own, which activations that overflow have spoilt."""
        for mine, kept in zip(model.buffers(), self.model.buffers(), strict=True):
            mine.copy_(kept)
