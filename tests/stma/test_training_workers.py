"""The processes that prepare clips: signals, and errors."""

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from stma.errors import DataError
from stma.training.workers import Workers, plain_errors


def wait_for_good(workers: Workers, ready: Connection) -> None:
    workers.begin(0)
    ready.send(True)
    while True:
        time.sleep(0.01)


def test_workers_end_on_sigterm_once_they_are_dismissed() -> None:
    context = multiprocessing.get_context("fork")
    workers = Workers()
    here, there = context.Pipe()
    process = context.Process(target=wait_for_good, args=(workers, there), daemon=True)
    process.start()
    try:
        assert here.poll(60)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(process.pid or 0, number)
        process.join(0.3)
        assert process.is_alive(), "the trainer alone answers while it needs them"
        workers.dismiss()
        os.kill(process.pid or 0, signal.SIGTERM)
        process.join(60)
        assert process.exitcode == 0
    finally:
        process.kill()


class Damaged(Dataset[Tensor]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Tensor:
        if index == 0:
            return torch.zeros(1)
        try:
            raise ValueError("cut short")
        except ValueError as error:
            raise DataError("a.png: is damaged", "restore it") from error


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_reads_as_it_was_raised(workers: int) -> None:
    batches = plain_errors(DataLoader(Damaged(), num_workers=workers))
    assert len(next(batches)) == 1
    with pytest.raises(DataError) as caught:
        next(batches)
    assert str(caught.value) == "a.png: is damaged; restore it"
