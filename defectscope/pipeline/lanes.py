"""Two frames at a time in one process: while one is measured, the next is looked at.

Networks, OpenCV and much of numpy let other threads run while they compute. Each lane has
components of its own, because a component is never used by two threads. Frames are read here,
one after the other: a reader is no more made for several threads than a component is.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from defectscope.core.cores import available_cores

if TYPE_CHECKING:
    from defectscope.pipeline.stages import FrameOutcome, FrameStages

__all__ = [
    "HandedBackError", "Submit", "WorkingThreads", "lane_count", "most_at_a_time", "working",
    "working_lanes",
]  # fmt: skip

T = TypeVar("T")
# Hands a batch of positions to whoever works on it.
Submit: TypeAlias = "Callable[[list[int]], Future[list[FrameOutcome]]]"

# More would wait for the interpreter most of the time, and take memory for their components.
MOST_LANES = 2
# How long a run that ends early waits for the frames that are being worked on.
PATIENCE_S = 10.0


def lane_count(threads: int, device: str) -> int:
    """Return how many frames are worked on at a time in one process.

    Parameters
    ----------
    threads
        Threads that the user gives each component; 0 leaves it to us.
    device
        Two networks on one GPU would only take memory from each other.
    """
    return min(MOST_LANES, most_at_a_time(threads, device))


def most_at_a_time(threads: int, device: str) -> int:
    """Return how many frames there are cores for at a time; parameters as of :func:`lane_count`."""
    return max(1, available_cores() // max(1, threads)) if device == "cpu" else 1


@contextmanager
def working_lanes(stages: FrameStages, count: int) -> Iterator[tuple[Submit, int]]:
    """Yield what hands positions of frames to `count` lanes, and how many may wait or be worked on.

    Parameters
    ----------
    stages
        Reads the frames, and works as the first lane.
    count
        Number of lanes.
    """
    lanes = [stages, *(stages.twin() for _ in range(count - 1))]
    threads = WorkingThreads([lane.work for lane in lanes])

    def submit(positions: list[int]) -> Future[list[FrameOutcome]]:
        try:
            read = stages.read(positions)
        except Exception as error:
            # Told when its turn comes: the frames before it are not lost.
            failed: Future[list[FrameOutcome]] = Future()
            failed.set_exception(error)
            return failed
        return threads.submit(read)

    with working(threads, lanes):
        yield submit, count + 1


@contextmanager
def working(threads: WorkingThreads[Any], stages: Sequence[FrameStages] = ()) -> Iterator[None]:
    """Stop threads at the end, and close the stages that they work with."""
    patience_s: float | None = None
    try:
        yield
    except BaseException:
        patience_s = PATIENCE_S
        raise
    finally:
        # A component that never returns must not keep the run from ending.
        if threads.stop(patience_s):
            for one in stages:
                one.close()


class HandedBackError(Exception):
    """What a thread was given is for another one, and it takes no more."""


class WorkingThreads(Generic[T]):
    """Threads that take what is submitted, each as soon as it is free.

    They end with the program, whatever they are doing: those of an executor are waited for when
    Python ends, for ever where a component never returns.

    Parameters
    ----------
    works
        What each thread does with what it takes.
    """

    def __init__(self, works: Iterable[Callable[[T], list[FrameOutcome]]]) -> None:
        self._queue: queue.SimpleQueue[tuple[Future[list[FrameOutcome]], T] | None] = (
            queue.SimpleQueue()
        )
        self._futures: set[Future[list[FrameOutcome]]] = set()
        self._threads: list[threading.Thread] = []
        self._changing, self._stopped = threading.Lock(), False
        for work in works:
            self.add(work)

    def add(self, work: Callable[[T], list[FrameOutcome]]) -> None:
        """Start one more thread, unless they are stopped."""
        with self._changing:
            if not self._stopped:
                name = f"lane-{len(self._threads)}"
                thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self, work: Callable[[T], list[FrameOutcome]]) -> None:
        while (item := self._queue.get()) is not None:
            future, given = item
            # What one thread gave back is under way already.
            if future.running() or future.set_running_or_notify_cancel():
                try:
                    future.set_result(work(given))
                except HandedBackError:
                    self._queue.put(item)
                    return
                except BaseException as error:
                    future.set_exception(error)

    def submit(self, given: T) -> Future[list[FrameOutcome]]:
        """Hand something to whichever thread is free first."""
        future: Future[list[FrameOutcome]] = Future()
        self._futures = {known for known in self._futures if not known.done()} | {future}
        self._queue.put((future, given))
        return future

    def stop(self, patience_s: float | None) -> bool:
        """Cancel what waits, wait for what is being done, and return whether that has ended."""
        with self._changing:
            self._stopped = True
        for future in self._futures:
            future.cancel()
        left = wait(self._futures, patience_s).not_done
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads if not left else ():
            thread.join()
        return not left
