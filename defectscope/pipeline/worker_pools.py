"""Processes that work for another, and pools of them."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from defectscope.core.interrupts import ctrl_c_ignored, deaf_to_terminal

__all__ = ["begin_as_worker", "worker_pool"]

# Windows waits for no more handles at once, and Python refuses larger pools there.
MOST_ON_WINDOWS = 61


def worker_pool(workers: int, start: Callable[..., None], *arguments: Any) -> ProcessPoolExecutor:
    """Return a pool of processes.

    They are started as work is submitted, under ``ctrl_c_ignored``.

    Parameters
    ----------
    workers
        Number of processes; where Windows allows fewer, as many as it does.
    start
        What each process calls once, with `arguments`, before anything else.
    """
    if sys.platform == "win32":
        workers = min(workers, MOST_ON_WINDOWS)
    # Python starts a process of its own here, which keeps account of what they share.
    with ctrl_c_ignored():
        return ProcessPoolExecutor(
            workers,
            # Spawned, not forked: OpenCV and torch threads do not survive a fork.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(start, arguments),
        )


def begin_as_worker() -> None:
    """Do first what a process does that works for another: leave it Ctrl-C, and end with it."""
    deaf_to_terminal()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _start(start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    begin_as_worker()
    start(*arguments)


def _end_with_parent() -> None:
    # A parent that is killed cannot end its workers, which would wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
