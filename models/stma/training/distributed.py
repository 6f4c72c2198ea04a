"""Data-parallel training under torchrun, and a stand-in for a single process."""

import os
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from stma.device import resolve_device


@dataclass(frozen=True)
class Group:
    """The processes that train together; rank 0 writes files and speaks."""

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def average_gradients(self, model: nn.Module) -> None:
        """Average the gradients of all processes in one transfer."""
        if self.size == 1:
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        offset = 0
        for gradient in gradients:
            gradient.copy_(flat[offset : offset + gradient.numel()].view_as(gradient))
            offset += gradient.numel()

    def average_buffers(self, model: nn.Module) -> None:
        """Average the batch norms' running statistics of all processes."""
        if self.size == 1:
            return
        for buffer in model.buffers():
            if buffer.is_floating_point():
                distributed.all_reduce(buffer)
                buffer /= self.size

    def broadcast(self, value: float) -> float:
        """Rank 0's value on every process."""
        if self.size == 1:
            return value
        holder: Tensor = torch.tensor([value], dtype=torch.float64)
        if distributed.get_backend() == "nccl":
            holder = holder.cuda()
        distributed.broadcast(holder, 0)
        return float(holder.item())

    def gather(self, item: object) -> list[object]:
        """One object of every process, in the order of ranks, on every process."""
        if self.size == 1:
            return [item]
        items: list[object] = [None] * self.size
        distributed.all_gather_object(items, item)
        return items

    def close(self) -> None:
        """Leave the group."""
        if self.size > 1:
            distributed.destroy_process_group()


def join_group(device: torch.device) -> Group:
    """Join the group that torchrun set up, or stand alone; `device` is that of this process, see `local_device`."""
    size = _group_size()
    if size == 1:
        return Group(0, 1)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # what is exchanged travels over the current device
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Group(distributed.get_rank(), size)


def will_lead() -> bool:
    """Whether this process leads its group, also before it has joined one."""
    return _group_size() == 1 or os.environ.get("RANK") == "0"


def local_device(device: torch.device) -> torch.device:
    """The CUDA device of this process under torchrun; other devices unchanged.

    Raises:
        DeviceError: there are more processes than CUDA devices.
    """
    if device.type == "cuda" and _group_size() > 1:
        return resolve_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    return device


def _group_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))
