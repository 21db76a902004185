"""Running the per-frame stages over a series: here, in processes, or on a Dask cluster."""

from __future__ import annotations

import collections
import functools
import multiprocessing
import pickle
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from defectscope.core.errors import DefectscopeError, MissingPackageError, UsageError
from defectscope.pipeline.stages import FrameOutcome, FrameStages

__all__ = ["outcomes_in_order"]

# Batches that wait for each worker: enough to keep it busy, few enough to keep memory flat.
WAITING_A_WORKER = 2


def outcomes_in_order(
    stages: FrameStages,
    positions: Sequence[int],
    batch_size: int = 1,
    workers: int = 1,
    dask: str | None = None,
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
    """
    batches = [
        list(positions[start : start + batch_size])
        for start in range(0, len(positions), batch_size)
    ]
    if dask is None and workers == 1:
        try:
            for batch in batches:
                yield from stages.process(batch)
        finally:
            stages.close()
        return
    payload = pickle.dumps(stages)
    with _executor(workers, dask) as (executor, parallel):
        yield from _in_order(executor, payload, batches, WAITING_A_WORKER * parallel)


def _in_order(
    executor: Executor, payload: bytes, batches: list[list[int]], most_waiting: int
) -> Iterator[FrameOutcome]:
    waiting: collections.deque[Future[Any]] = collections.deque()
    rest = iter(batches)
    try:
        while True:
            while len(waiting) < most_waiting and (batch := next(rest, None)) is not None:
                waiting.append(executor.submit(_process_batch, payload, batch))
            if not waiting:
                return
            yield from waiting.popleft().result()
    except BrokenExecutor as error:
        raise DefectscopeError(
            "a worker process died, most likely for want of memory; "
            "go on with --resume and fewer --workers"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


@functools.lru_cache(maxsize=1)
def _opened(payload: bytes) -> FrameStages:
    stages: FrameStages = pickle.loads(payload)
    stages.open()
    return stages


def _process_batch(payload: bytes, batch: list[int]) -> list[FrameOutcome]:
    return _opened(payload).process(batch)


def _ignore_interrupts() -> None:
    # Ctrl-C reaches every process of the terminal; the parent decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _executor(workers: int, dask: str | None) -> Iterator[tuple[Executor, int]]:
    if dask is None:
        # Spawned, not forked: OpenCV and torch threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupts)
        try:
            yield pool, workers
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingPackageError("distributed", "dask", "running on a Dask cluster") from error
    try:
        client = Client(dask, timeout=5)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(f"no Dask scheduler answers at {dask!r}: {error}") from error
    with client:
        parallel = max(1, sum(client.nthreads().values()))
        # One task a process at a time: components are not made to be shared between threads.
        yield client.get_executor(pure=False), parallel
