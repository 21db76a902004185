"""Running the per-frame stages over a series: here, in processes, or on a Dask cluster."""

from __future__ import annotations

import collections
import multiprocessing
import multiprocessing.process
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import contextmanager
from typing import TypeAlias

from defectscope.core.errors import MissingPackageError, UnfitOptionError, WorkersLostError
from defectscope.core.interrupts import ctrl_c_ignored
from defectscope.pipeline.handing_over import packed, unpacked
from defectscope.pipeline.lanes import PATIENCE_S, working_lanes
from defectscope.pipeline.named import busy
from defectscope.pipeline.script_guard import GUARD
from defectscope.pipeline.stages import FrameOutcome, FrameStages
from defectscope.pipeline.worker_pools import worker_pool

__all__ = ["outcomes_in_order"]

# Batches that wait for each worker: enough to keep it busy, few enough to keep memory flat.
WAITING_A_WORKER = 2
CONNECT_S = 10.0

# Hands a batch of positions to a worker.
Submit: TypeAlias = Callable[[list[int]], "Future[list[FrameOutcome]]"]


def outcomes_in_order(
    stages: FrameStages,
    positions: Sequence[int],
    batch_size: int = 1,
    workers: int = 1,
    dask: str | None = None,
    lanes: int = 1,
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
        Processes; 1 stays in this one.
    dask
        Address of a Dask scheduler, instead of processes on this machine.
    lanes
        Frames (or batches) that are worked on at a time in this process, where that is not done
        in others.

    Raises
    ------
    WorkersLostError
        Other processes have died.
    """
    batches = [
        list(positions[start : start + batch_size])
        for start in range(0, len(positions), batch_size)
    ]
    if dask is None and workers == 1 and min(lanes, len(batches)) > 1:
        with working_lanes(stages, lanes) as (submit, most_waiting):
            yield from _in_order(stages, submit, batches, most_waiting)
        return
    if dask is None and workers == 1:
        try:
            for batch in batches:
                yield from stages.process(batch)
        finally:
            stages.close()
        return
    payload = packed(stages)
    shared = _processes(payload, workers) if dask is None else _cluster(payload, dask)
    with shared as (submit, parallel):
        yield from _in_order(stages, submit, batches, WAITING_A_WORKER * parallel)


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
    except BrokenExecutor as error:
        raise WorkersLostError(
            "a worker process died, for want of memory, or because the script that runs the "
            f"pipeline runs anew in it; {GUARD}, and ask for fewer --workers"
        ) from error
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
def _processes(payload: bytes, workers: int) -> Iterator[tuple[Submit, int]]:
    # The payload may hold a whole series in memory: it goes to each process once, not with
    # every batch.
    pool = worker_pool(workers, _start_process, payload)
    others = set(multiprocessing.active_children())
    patient = True

    def submit(batch: list[int]) -> Future[list[FrameOutcome]]:
        # The pool starts a process where none is free, which knows only later to ignore it.
        with ctrl_c_ignored():
            return pool.submit(_process_in_worker, batch)

    try:
        yield submit, workers
    except BaseException:
        patient = False
        raise
    finally:
        pool.shutdown(wait=patient, cancel_futures=True)
        if not patient:
            _end_soon(set(multiprocessing.active_children()) - others)


def _end_soon(processes: Iterable[multiprocessing.process.BaseProcess]) -> None:
    # A component that never returns must not keep an interrupted run from ending.
    end = time.monotonic() + PATIENCE_S
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
        if process.is_alive():
            process.kill()


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


# The payload of a worker process, from its start on.
_payload = b""
# The stages of each thread: components are not made to be shared between the threads of a worker.
_own = threading.local()


def _start_process(payload: bytes) -> None:
    global _payload
    _payload = payload


def _process_in_worker(batch: list[int]) -> list[FrameOutcome]:
    return _process_batch(_payload, batch)


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
