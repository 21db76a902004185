"""Running the per-frame stages over a series: here, in processes, or on a Dask cluster."""

from __future__ import annotations

import collections
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager

from defectscope.core.errors import (
    MissingPackageError,
    UnfitOptionError,
    UsageError,
    WorkersLostError,
)
from defectscope.pipeline.handing_over import packed, unpacked
from defectscope.pipeline.helping import helped
from defectscope.pipeline.lanes import Submit, working_lanes
from defectscope.pipeline.named import busy
from defectscope.pipeline.processes import in_processes
from defectscope.pipeline.stages import FrameOutcome, FrameStages

__all__ = ["outcomes_in_order"]

# Batches that wait for each worker: enough to keep it busy, few enough to keep memory flat.
WAITING_A_WORKER = 2
CONNECT_S = 10.0


def outcomes_in_order(
    stages: FrameStages,
    positions: Sequence[int],
    batch_size: int = 1,
    workers: int = 1,
    dask: str | None = None,
    lanes: int = 1,
    helpers: int = 0,
) -> Iterator[FrameOutcome]:
    """Yield the outcome of every frame, in the order of `positions`, however many work on them.

    Parameters
    ----------
    stages
        What to do with each frame.
    positions
        Positions in the series.
    batch_size
        Frames that a detector gets at once.
    workers
        Processes; 0 and 1 stay in this one.
    dask
        Address of a Dask scheduler, instead of processes on this machine.
    lanes
        Frames (or batches) that are worked on at a time in this process, where that is not done
        in others.
    helpers
        Processes that work beside this one, in place of lanes, where they can.

    Raises
    ------
    WorkersLostError
        Other processes have died.
    """
    batches = [
        list(positions[start : start + batch_size])
        for start in range(0, len(positions), batch_size)
    ]
    if helpers and (payload := _for_helpers(stages)) is not None:
        with helped(stages, payload, helpers) as (submit, most_waiting):
            yield from _in_order(stages, submit, batches, most_waiting)
        return
    if dask is None and workers <= 1 and min(lanes, len(batches)) > 1:
        with working_lanes(stages, lanes) as (submit, most_waiting):
            yield from _in_order(stages, submit, batches, most_waiting)
        return
    if dask is None and workers <= 1:
        try:
            for batch in batches:
                yield from stages.process(batch)
        finally:
            stages.close()
        return
    payload = packed(stages)
    if dask is None:
        with in_processes(payload, workers) as (submit, most_waiting):
            yield from _in_order(stages, submit, batches, most_waiting)
        return
    with _cluster(payload, dask) as (submit, parallel):
        yield from _in_order(stages, submit, batches, WAITING_A_WORKER * parallel)


def _for_helpers(stages: FrameStages) -> bytes | None:
    """Return what helpers work with; None where it cannot be handed to them, which nobody asked."""
    try:
        return packed(stages.twin())
    except UsageError:
        return None


def _in_order(
    stages: FrameStages, submit: Submit, batches: list[list[int]], most_waiting: int
) -> Iterator[FrameOutcome]:
    waiting: collections.deque[tuple[list[int], Future[list[FrameOutcome]]]] = collections.deque()
    rest = iter(batches)
    try:
        while True:
            while len(waiting) < most_waiting and (batch := next(rest, None)) is not None:
                waiting.append((batch, submit(batch)))
            if not waiting:
                return
            yield from _result(stages, *waiting.popleft())
    except Exception as error:
        if not _is_of_cluster(error):
            raise
        raise WorkersLostError(
            f"the Dask cluster lost a worker or its scheduler ({type(error).__name__}), most "
            "likely for want of memory; take fewer or larger workers"
        ) from error
    finally:
        for _, future in waiting:
            future.cancel()


def _is_of_cluster(error: Exception) -> bool:
    """Whether it is the cluster that failed, and not what runs on it."""
    # Only who asked for a cluster has the package; its errors need no import then.
    package = type(error).__module__.partition(".")[0]
    return package == "distributed" or isinstance(error, CancelledError)


def _result(
    stages: FrameStages, batch: list[int], future: Future[list[FrameOutcome]]
) -> list[FrameOutcome]:
    try:
        return future.result()
    except KeyboardInterrupt as stop:
        names = ", ".join(stages.frames.names[position] for position in batch)
        stop.add_note(busy(stages.detector, f"or a post-processor after it, on {names}"))
        raise


@contextmanager
def _cluster(payload: bytes, address: str) -> Iterator[tuple[Submit, int]]:
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingPackageError("distributed", "dask", "running on a Dask cluster") from error
    # In two steps, so that a client that cannot connect can be closed: left to the garbage
    # collector, it may wait for itself.
    client = Client.__new__(Client)
    try:
        Client.__init__(client, address, timeout=CONNECT_S)
    except (OSError, ValueError, TimeoutError) as error:
        client.close()
        raise UnfitOptionError(f"no Dask scheduler answers at {address!r}: {error}") from error
    with client:
        threads = client.nthreads()
        # Likewise once to each worker; where none is up yet, with the batches after all.
        handle = client.scatter(payload, hash=False, broadcast=True) if threads else payload
        executor = client.get_executor(pure=False)
        yield (
            lambda batch: executor.submit(_process_batch, handle, batch),
            max(1, sum(threads.values())),
        )


# The stages of each thread of a cluster: components are not made to be shared between threads.
_own = threading.local()


def _process_batch(payload: bytes, batch: list[int]) -> list[FrameOutcome]:
    if getattr(_own, "payload", None) != payload:
        _let_go()
        _own.stages = unpacked(payload)
        _own.payload = payload
    stages: FrameStages = _own.stages
    return stages.process(batch)


def _let_go() -> None:
    # A Dask worker outlives the run; what the former one opened must not.
    if hasattr(_own, "stages"):
        _own.stages.close()
        del _own.stages, _own.payload
