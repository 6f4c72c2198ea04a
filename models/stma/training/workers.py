"""The processes that prepare clips: how they answer signals, and how their errors read."""

import os
import signal
from collections.abc import Iterable, Iterator
from multiprocessing.sharedctypes import RawValue

import torch
from torch import Tensor

from stma.errors import StmaError


class Workers:
    """Lets the trainer alone answer signals to the process group until its workers are dismissed."""

    def __init__(self) -> None:
        self._dismissed = RawValue("b", 0)  # without a lock, which a signal handler could wait for in vain

    def begin(self, worker: int) -> None:
        """Called in worker number `worker`: keep it on one thread, and deaf to signals as long as it is needed."""
        import cv2

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        cv2.setNumThreads(0)
        torch.set_num_threads(1)

    def dismiss(self) -> None:
        """Let SIGTERM end the workers from here on, as it does when the program ends."""
        self._dismissed.value = 1

    def _end(self) -> None:
        if self._dismissed.value:
            os._exit(0)  # nothing is left to be done, and PyTorch takes any other status for a failure


def plain_errors(batches: Iterable[list[Tensor]]) -> Iterator[list[Tensor]]:
    """The batches of a loader; an error of stma in a worker reads as if it were raised here, without a traceback."""
    try:
        yield from batches
    except StmaError as error:
        kind = type(error)
        raise kind(str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].strip()) from None
