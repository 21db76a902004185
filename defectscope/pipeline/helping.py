"""Work on frames in this process, and in others that help it as soon as they are ready.

A process takes seconds to start, in which this one is already at work; and Python lets only one
thread of a process run at a time, so that on long series processes beat lanes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from defectscope.pipeline.lanes import (
    HandedBackError,
    Submit,
    WorkingThreads,
    most_at_a_time,
    working,
)
from defectscope.pipeline.processes import AT_A_TIME, DiedError, frame_processes

if TYPE_CHECKING:
    from defectscope.pipeline.stages import FrameOutcome, FrameStages

__all__ = ["helped", "helper_count"]

# Each takes memory for components of its own, some 150 MB with a network.
MOST_HELPERS = 3
# Batches for each helper below which it is hardly ready before they are done.
WORTH_A_HELPER = 50


def helper_count(batches: int, threads: int, device: str) -> int:
    """Return how many processes are worth starting beside this one.

    Parameters
    ----------
    batches
        How many there are to be worked on.
    threads
        Threads that the user gives each component; 0 leaves it to us.
    device
        Two networks on one GPU would only take memory from each other.
    """
    others = most_at_a_time(threads, device) - 1
    return max(0, min(MOST_HELPERS, others, batches // WORTH_A_HELPER - 1))


@contextmanager
def helped(stages: FrameStages, payload: bytes, helpers: int) -> Iterator[tuple[Submit, int]]:
    """Yield what hands batches to this process and its helpers, and how many may wait.

    Where helpers cannot work or die, this process goes on alone, and the next outcome says so.

    Parameters
    ----------
    stages
        What to do with each frame; this process works with them.
    payload
        The same, packed.
    helpers
        Number of processes beside this one.
    """
    lost = _Lost()

    def here(batch: list[int]) -> list[FrameOutcome]:
        outcomes = stages.process(batch)
        outcomes[0].warnings += lost.told()
        return outcomes

    threads = WorkingThreads[list[int]]([here])
    with frame_processes() as start, working(threads, [stages]):
        start(payload, helpers, threads, lost)
        yield threads.submit, 2 + (AT_A_TIME + 1) * helpers


class _Lost:
    """What became of helpers that are no more, to be told once."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._told = False

    def __call__(self, error: BaseException) -> Exception:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, DiedError):
            reason = "it died, for want of memory, or because a script runs anew in it"
        self._reason = self._reason or reason
        return HandedBackError()

    def told(self) -> list[str]:
        if self._reason is None or self._told:
            return []
        self._told = True
        return [
            f"a process that helped this run is no more ({self._reason}); the run goes on without "
            "it, and --workers 1 starts none"
        ]
