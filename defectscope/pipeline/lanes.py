"""Two frames at a time in one process: while one is measured, the next is looked at.

Networks, OpenCV and much of numpy let other threads run while they compute. Each lane has
components of its own, because a component is never used by two threads. Frames are read here,
one after the other: a reader is no more made for several threads than a component is.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from defectscope.pipeline.stages import FrameOutcome, FrameStages, ReadFrames

__all__ = ["available_cores", "lane_count", "working_lanes"]

# More would wait for the interpreter most of the time, and take memory for their components.
MOST_LANES = 2


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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

    pool = ThreadPoolExecutor(count, thread_name_prefix="lane")

    def submit(positions: list[int]) -> Future[list[FrameOutcome]]:
        try:
            read = stages.read(positions)
        except Exception as error:
            # Told when its turn comes: the frames before it are not lost.
            failed: Future[list[FrameOutcome]] = Future()
            failed.set_exception(error)
            return failed
        return pool.submit(work, read)

    try:
        yield submit, count + 1
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for lane in lanes:
            lane.close()
