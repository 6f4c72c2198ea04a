"""Joining the group that torchrun sets up; the devices are stand-ins."""

import pytest
import torch
from torch import distributed

from stma.errors import DeviceError
from stma.training.distributed import Group, join_group, local_device


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What a process of rank 1 of 2, on a machine with two CUDA devices, asks of torch."""
    told: list[tuple[str, object]] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: told.append(("device", device)))
    monkeypatch.setattr(distributed, "init_process_group", lambda backend: told.append(("group", backend)))
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    return told


def test_a_process_takes_its_own_gpu_before_it_joins(calls: list[tuple[str, object]]) -> None:
    device = local_device(torch.device("cuda"))
    assert device == torch.device("cuda", 1)
    assert join_group(device) == Group(1, 2)
    assert calls == [("device", device), ("group", "nccl")]


def test_processes_on_the_cpu_do_not_ask_for_gpus(calls: list[tuple[str, object]]) -> None:
    device = local_device(torch.device("cpu"))
    assert join_group(device) == Group(1, 2)
    assert calls == [("group", "gloo")]


def test_more_processes_than_gpus_are_refused(
    calls: list[tuple[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(DeviceError, match="2 CUDA devices are present"):
        local_device(torch.device("cuda"))


def test_without_torchrun_a_process_stands_alone(
    calls: list[tuple[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORLD_SIZE")
    assert join_group(local_device(torch.device("cuda"))) == Group(0, 1)
    assert not calls


def test_gradients_are_means_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Linear(2, 1)
    model.weight.grad, model.bias.grad = torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])
    theirs = torch.tensor([3.0, 4.0, 9.0])
    monkeypatch.setattr(distributed, "all_reduce", lambda mine: mine.add_(theirs))
    Group(0, 2).average_gradients(model)
    assert model.weight.grad.tolist() == [[2.0, 3.0]]
    assert model.bias.grad.tolist() == [6.0]
