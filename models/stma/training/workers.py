"""The processes that prepare clips: how they answer signals, and how their errors read."""

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from multiprocessing.sharedctypes import RawValue

import torch
from torch import Tensor

from stma import errors
from stma.errors import StmaError

# How PyTorch begins to tell of a worker that was ended.
ENDED = ("DataLoader worker (pid", "Pin memory thread")


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
    """The batches of a loader; an error of stma in a worker reads as if it were raised here, without a traceback.

    Raises:
        StmaError: as in a worker, or because one was ended.
    """
    try:
        yield from _begun(batches)
    except (RuntimeError, ConnectionError, EOFError) as error:
        if isinstance(error, RuntimeError) and not str(error).startswith(ENDED):
            raise _of_worker(str(error)) or error from None
        raise StmaError(
            "a process that prepares clips was ended, mostly for lack of memory",
            "use fewer workers: the same command goes on where training was",
        ) from error


def _of_worker(text: str) -> StmaError | None:
    """Return the error of stma at the end of a traceback, as which PyTorch passes it on; None where there is none."""
    kind, _, message = text.rpartition(f"\n{errors.__name__}.")[2].partition(": ")
    problem, separator, fix = message.strip().rpartition("; ")
    return getattr(errors, kind)(problem, fix) if separator and kind in vars(errors) else None


def _begun(batches: Iterable[list[Tensor]]) -> Iterator[list[Tensor]]:
    """Begin a loader, without the signal handler by which PyTorch tells amid a step that a worker was ended.

    So it shows where a clip of that worker is waited for, and the step before is complete.
    """
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() is not threading.main_thread():
        return iter(batches)
    before = signal.getsignal(signal.SIGCHLD)
    try:
        return iter(batches)
    finally:
        signal.signal(signal.SIGCHLD, before)
