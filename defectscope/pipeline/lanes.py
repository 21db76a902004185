"""Two frames at a time in one process: while one is measured, the next is looked at.

Networks, OpenCV and much of numpy let other threads run while they compute. Each lane has
components of its own, because a component is never used by two threads. Frames are read here,
one after the other: a reader is no more made for several threads than a component is.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING

from defectscope.core.cores import available_cores

if TYPE_CHECKING:
    from defectscope.pipeline.stages import FrameOutcome, FrameStages, ReadFrames

__all__ = ["lane_count", "working_lanes"]

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
    if device != "cpu":
        return 1
    return max(1, min(MOST_LANES, available_cores() // max(1, threads)))


@contextmanager
def working_lanes(
    stages: FrameStages, count: int
) -> Iterator[tuple[Callable[[list[int]], Future[list[FrameOutcome]]], int]]:
    """Yield what hands positions of frames to `count` lanes, and how many may wait or be worked on.

    Parameters
    ----------
    stages
        Reads the frames, and works as the first lane.
    count
        Number of lanes.
    """
    lanes = [stages, *(stages.twin() for _ in range(count - 1))]
    free: queue.SimpleQueue[FrameStages] = queue.SimpleQueue()
    for lane in lanes:
        free.put(lane)

    def work(read: ReadFrames) -> list[FrameOutcome]:
        lane = free.get()
        try:
            return lane.work(read)
        finally:
            free.put(lane)

    pool = _Threads(count, work)

    def submit(positions: list[int]) -> Future[list[FrameOutcome]]:
        try:
            read = stages.read(positions)
        except Exception as error:
            # Told when its turn comes: the frames before it are not lost.
            failed: Future[list[FrameOutcome]] = Future()
            failed.set_exception(error)
            return failed
        return pool.submit(read)

    patience_s: float | None = None
    try:
        yield submit, count + 1
    except BaseException:
        patience_s = PATIENCE_S
        raise
    finally:
        # A component that never returns must not keep the run from ending.
        if pool.stop(patience_s):
            for lane in lanes:
                lane.close()


class _Threads:
    """A few threads that end with the program, whatever they are doing.

    Those of an executor are waited for when Python ends, for ever where a component never returns.
    """

    def __init__(self, count: int, work: Callable[[ReadFrames], list[FrameOutcome]]) -> None:
        self._work = work
        self._queue: queue.SimpleQueue[tuple[Future[list[FrameOutcome]], ReadFrames] | None] = (
            queue.SimpleQueue()
        )
        self._futures: set[Future[list[FrameOutcome]]] = set()
        self._threads = [
            threading.Thread(target=self._run, name=f"lane-{k}", daemon=True) for k in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            future, read = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._work(read))
                except BaseException as error:
                    future.set_exception(error)

    def submit(self, read: ReadFrames) -> Future[list[FrameOutcome]]:
        future: Future[list[FrameOutcome]] = Future()
        self._futures = {known for known in self._futures if not known.done()} | {future}
        self._queue.put((future, read))
        return future

    def stop(self, patience_s: float | None) -> bool:
        """Cancel what waits, wait for what is being done, and return whether that has ended."""
        for future in self._futures:
            future.cancel()
        left = wait(self._futures, patience_s).not_done
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads if not left else ():
            thread.join()
        return not left
