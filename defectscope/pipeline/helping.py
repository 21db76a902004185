"""Work on frames in this process, and in others that help it as soon as they are ready.

A process takes seconds to start, in which this one is already at work; and Python lets only one
thread of a process run at a time, so that on long series processes beat lanes.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from defectscope.core.cores import available_cores
from defectscope.pipeline.lanes import PATIENCE_S, WorkingThreads
from defectscope.pipeline.processes import Submit, processes

if TYPE_CHECKING:
    from defectscope.pipeline.stages import FrameOutcome, FrameStages

__all__ = ["helped", "helper_count"]

# Each takes memory for components of its own, some 300 MB with a network.
MOST_HELPERS = 3
# Batches for each helper below which it is hardly ready before they are done.
WORTH_A_HELPER = 50
# Batches at a time: while one is worked on, the next is on its way.
AT_A_TIME = 2


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
    if device != "cpu":
        return 0
    others = available_cores() // max(1, threads) - 1
    return max(0, min(MOST_HELPERS, others, batches // WORTH_A_HELPER - 1))


@contextmanager
def helped(stages: FrameStages, payload: bytes, helpers: int) -> Iterator[tuple[Submit, int]]:
    """Yield what hands batches to this process and its helpers, and how many may wait.

    Parameters
    ----------
    stages
        What to do with each frame; this process works with them.
    payload
        The same, packed.
    helpers
        Number of processes beside this one.
    """
    ready: list[Future[list[FrameOutcome]]] = []
    with processes(payload, helpers, lambda: all(one.done() for one in ready)) as there:
        threads = WorkingThreads[list[int]]([stages.process])

        def takes_batches(_: Future[list[FrameOutcome]]) -> None:
            for _again in range(AT_A_TIME):
                # Whatever ails a helper shows as its first batch is due.
                threads.add(lambda batch: there(batch).result())

        # An empty batch makes a process ready. They are started here, in the main thread, where
        # Ctrl-C can be kept from them.
        ready += [there([]) for _ in range(helpers)]
        for one in ready:
            one.add_done_callback(takes_batches)
        patience_s: float | None = None
        try:
            yield threads.submit, 2 + (AT_A_TIME + 1) * helpers
        except BaseException:
            patience_s = PATIENCE_S
            raise
        finally:
            if threads.stop(patience_s):
                stages.close()
