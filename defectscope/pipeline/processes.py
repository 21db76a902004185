"""Processes of their own that work on frames, each with components of its own."""

from __future__ import annotations

import multiprocessing.connection
import multiprocessing.process
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

from defectscope.core.interrupts import ctrl_c_ignored
from defectscope.pipeline.handing_over import unpacked
from defectscope.pipeline.lanes import PATIENCE_S
from defectscope.pipeline.stages import FrameOutcome, FrameStages
from defectscope.pipeline.worker_pools import worker_pool

__all__ = ["Submit", "process_batch", "processes"]

# How long the pool has to notice by itself that one of its processes has died.
TO_NOTICE_S = 3.0
# Hands a batch of positions to a worker.
Submit: TypeAlias = Callable[[list[int]], "Future[list[FrameOutcome]]"]


@contextmanager
def processes(
    payload: bytes, workers: int, needed: Callable[[], bool] = lambda: True
) -> Iterator[Submit]:
    """Yield what hands batches of positions to processes, which it starts as they come.

    Parameters
    ----------
    payload
        Packed stages. It may hold a whole series in memory: it goes to each process once, not with
        every batch.
    workers
        Number of processes.
    needed
        Asked at the end whether the processes are waited for; else they are killed.
    """
    pool = worker_pool(workers, _start_process, payload)
    started, results = pool._processes, cast("Any", pool._result_queue)
    patience_s: float | None = None
    ended = threading.Event()
    watch = threading.Thread(target=_let_it_notice, args=(started, results, ended), daemon=True)
    watch.start()

    def submit(batch: list[int]) -> Future[list[FrameOutcome]]:
        # The pool starts a process where none is free, which knows only later to ignore it.
        with ctrl_c_ignored():
            return pool.submit(_process_in_worker, batch)

    try:
        yield submit
        patience_s = None if needed() else 0.0
    except BaseException:
        patience_s = PATIENCE_S if needed() else 0.0
        raise
    finally:
        pool.shutdown(wait=patience_s is None, cancel_futures=True)
        ended.set()
        watch.join()
        if patience_s is not None:
            _end_soon(list(started.values()), patience_s)
            results._writer.close()


def _let_it_notice(
    started: Mapping[int, multiprocessing.process.BaseProcess], results: Any, ended: threading.Event
) -> None:
    """Tell the pool that a process has died where it would wait for ever.

    One that is killed while it sends a result leaves half of it, and for the other half the pool
    waits: nothing says that it never comes while this process can write there as well.
    """
    while not ended.wait(1.0):
        there = list(started.values())
        if there and multiprocessing.connection.wait([one.sentinel for one in there], 0):
            if not ended.wait(TO_NOTICE_S):
                _end_soon(there, 0.0)
                results._writer.close()
            return


def _end_soon(processes: Iterable[multiprocessing.process.BaseProcess], patience_s: float) -> None:
    # A component that never returns must not keep an interrupted run from ending.
    end = time.monotonic() + patience_s
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join(1)


# The payload of a worker process, from its start on.
_payload = b""
# The stages of each thread: components are not made to be shared between the threads of a worker.
_own = threading.local()


def _start_process(payload: bytes) -> None:
    global _payload
    _payload = payload


def _process_in_worker(batch: list[int]) -> list[FrameOutcome]:
    return process_batch(_payload, batch)


def process_batch(payload: bytes, batch: list[int]) -> list[FrameOutcome]:
    """Work on a batch in this process and thread; an empty one only makes it ready to."""
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
