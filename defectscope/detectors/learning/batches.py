"""Batches by number: the same for the same seed, whatever the number of workers.

A worker makes whole batches, and every random choice in batch `n` comes from (seed, n) alone, so
that a training can go on from any step, with any number of workers, as if it had not stopped.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from defectscope.core.errors import DefectscopeError
from defectscope.core.interrupts import ctrl_c_ignored, deaf_to_terminal

if TYPE_CHECKING:
    from defectscope import TrainingData

__all__ = ["Batches", "batch_loader", "frame_numbers"]

MakeBatch = Callable[["TrainingData", list[int], np.random.Generator], dict[str, Any]]
# What a worker hands on instead of a batch that it cannot make.
ERROR = "error"
# Batches that each worker keeps ready.
AHEAD = 3
# How long a worker that is told to end still makes batches, s: for the step that its
# parent ends first.
GRACE_S = 15


def frame_numbers(step: int, count: int, length: int | None, seed: int) -> list[int]:
    """Return which frames a step learns from.

    Parameters
    ----------
    step
        Number of the step, over all GPUs.
    count
        Frames of one step.
    length
        Frames there are, or None for endless data, of which none comes twice.
    seed
        Decides the order within each pass through the data.
    """
    positions = range(step * count, (step + 1) * count)
    if length is None:
        return list(positions)
    orders: dict[int, list[int]] = {}
    numbers = []
    for position in positions:
        turn, place = divmod(position, length)
        if turn not in orders:
            rng = np.random.default_rng([seed, 1, turn])
            orders[turn] = rng.permutation(length).tolist()
        numbers.append(orders[turn][place])
    return numbers


class Batches(IterableDataset[dict[str, Any]]):
    """Endless batches from a first step on.

    Parameters
    ----------
    data
        Labelled frames.
    make
        Makes one batch of the frames of these numbers.
    frames_per_step
        How many those are.
    first_step
        Where to begin.
    seed
        Of everything random.
    rank, ranks
        Which of several GPUs this is for.
    """

    def __init__(
        self,
        data: TrainingData,
        make: MakeBatch,
        frames_per_step: int,
        first_step: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        super().__init__()
        self.data, self.make, self.frames_per_step = data, make, frames_per_step
        self.first_step, self.seed, self.rank, self.ranks = first_step, seed, rank, ranks

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        mine, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        if worker:
            # Each worker is one process of several: threads of its own would only be in the way.
            cv2.setNumThreads(1)
            torch.set_num_threads(1)
        with self.data as data:
            step = self.first_step + mine
            while True:
                number = step * self.ranks + self.rank
                rng = np.random.default_rng([self.seed, 0, number])
                frames = frame_numbers(number, self.frames_per_step, data.length, self.seed)
                try:
                    yield self.make(data, frames, rng)
                except DefectscopeError as error:
                    if not worker:
                        raise
                    # torch would put the worker's traceback into the message.
                    yield {ERROR: error}
                step += workers


def _leave_signals_to_parent(number: int) -> None:
    """Put off in a worker what ends a training, whose parent still needs batches to end well.

    A batch system tells every process of a job. Told again, a worker ends at once, and in any case
    soon: Python waits at its end for workers that it told once.
    """
    deaf_to_terminal()
    signal.signal(signal.SIGTERM, _end_soon)


def _end_soon(number: int, *_: Any) -> None:
    signal.signal(number, signal.SIG_DFL)
    # Not on Windows, where nothing is told before the end.
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(GRACE_S)


class _Loader(DataLoader[dict[str, Any]]):
    def __iter__(self) -> Any:
        with ctrl_c_ignored():
            batches = super().__iter__()
        return self._checked(batches)

    def _checked(self, batches: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for batch in batches:
            if ERROR in batch:
                raise batch[ERROR]
            yield batch


def batch_loader(batches: Batches, workers: int) -> DataLoader[dict[str, Any]]:
    """Return a loader that hands on the batches in the order of their steps."""
    return _Loader(
        batches,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        worker_init_fn=_leave_signals_to_parent,
        # A forked copy of a process that has used threads (OpenCV, BLAS) may wait for them forever.
        multiprocessing_context="spawn" if workers else None,
    )
