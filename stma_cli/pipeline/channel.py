"""Bounded queues between threads that all end together: on the last item, or on the first failure."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
POLL_SECONDS = 0.1  # how long a waiting thread takes at most to notice that the others have stopped


class Stopped(Exception):
    """Raised in a thread that waits for others which have stopped."""


class Stop:
    """Shared by the threads of one run: says that it is over, and why."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self.failure: BaseException | None = None

    @property
    def requested(self) -> bool:
        """Whether all threads should end."""
        return self._event.is_set()

    def request(self, failure: BaseException | None = None) -> None:
        """Ask all threads to end; the first failure is kept."""
        with self._lock:
            self.failure = self.failure or failure
        self._event.set()


class Channel(Generic[Item]):
    """A queue of limited length from one thread to another; iterate over it to take the items out."""

    def __init__(self, length: int, stop: Stop) -> None:
        self._queue: queue.Queue[Item | _End] = queue.Queue(length)
        self._stop = stop

    def put(self, item: "Item | _End") -> None:
        """Add an item, waiting while the queue is full.

        Raises:
            Stopped: when the run has been stopped.
        """
        while not self._stop.requested:
            try:
                return self._queue.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
        raise Stopped

    def finish(self) -> None:
        """Say that no more items come, which ends the iteration.

        Raises:
            Stopped: when the run has been stopped.
        """
        self.put(_END)

    def __iter__(self) -> Iterator[Item]:
        """Yield the items until `finish`; raises `Stopped` when the run has been stopped."""
        while True:
            if self._stop.requested:
                raise Stopped
            try:
                item = self._queue.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                return
            yield item


class _End:
    """The item after the last one."""


_END = _End()


def start_thread(name: str, work: Callable[[], None], stop: Stop) -> threading.Thread:
    """Run `work` in a thread; whatever it raises stops the whole run and is kept in `stop.failure`."""

    def guarded() -> None:
        try:
            work()
        except Stopped:
            pass
        except BaseException as error:  # also what is no Exception must not die silently in a thread
            stop.request(error)

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    return thread
