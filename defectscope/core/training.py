"""What training is made of: labelled frames by number, and a job."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.instances import Instances

__all__ = ["TrainingData", "TrainingJob", "is_follower"]


class TrainingData(ABC):
    """Labelled frames by number: a dataset on disk, or a generator that draws them on the fly.

    It is used as a context manager, and survives pickling before that, so that worker processes
    can each have one.

    Attributes
    ----------
    title
        What it is, for people and for the card of the weights.
    defect_types
        Names in the order of output channels.
    warnings
        What a user should know about how it was read.
    """

    title: str = ""
    defect_types: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Number of frames, or None where there is no end of them."""

    @abstractmethod
    def load(self, number: int) -> tuple[NDArray[Any], Instances]:
        """Return the (H, W) pixels and the truth of a frame; the same for the same number."""

    def truth(self, number: int) -> Instances:
        """Return the truth of a frame; without its pixels where these need not be read."""
        return self.load(number)[1]

    def recipe(self) -> dict[str, Any]:
        """Return plain values from which the data can be made or found again."""
        return {}

    def depends_on(self) -> dict[str, Any]:
        """Return what decides about the frames beside the recipe, as plain values.

        Digests of the files that frames are drawn from, for example: a training is resumed with
        the same only.
        """
        return {}

    def shown_files(self) -> frozenset[str]:
        """Return digests of the files that frames show a part of, where these are drawn.

        Some of those of :meth:`depends_on`: a distribution of sizes is not seen in a frame. Where
        training and validation have some in common, scores may flatter.
        """
        return frozenset()

    def sources(self) -> list[tuple[Path, str]]:
        """Return file and page of each frame; none where frames are drawn."""
        return []

    def open(self) -> None:
        """Acquire what :meth:`load` needs."""

    def close(self) -> None:
        """Let it go again."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def is_follower() -> bool:
    """Return whether this process trains along with another one, which alone checks and writes.

    To train on several GPUs, Lightning starts the same command again for all but the first, with
    this variable. Others that it sets, it takes back before the weights are written.
    """
    return os.environ.get("LOCAL_RANK", "0") != "0"


def _silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class TrainingJob:
    """One training.

    Parameters
    ----------
    data, validation
        What to learn from, and what the best state and its threshold are chosen on; without
        `validation` that is done on `data`.
    out
        The safetensors file to write; working files lie in a folder beside it.
    options
        The component's ``TrainingOptions``.
    init
        Weights to start from, or None for random ones.
    steps
        Optimiser steps, or None for the component's default.
    seed
        Of everything random.
    workers
        Processes that prepare batches; with the same number of threads, the result does not depend
        on it.
    resume
        Whether to go on from the last checkpoint of the same job.
    title
        One line for the card, as ``train --title`` gives it; empty where nothing was said.
    progress
        Called with (stage, done, total).
    say
        Called with a line about how training goes.
    """

    data: TrainingData
    out: Path
    options: Any
    validation: TrainingData | None = None
    init: Path | None = None
    steps: int | None = None
    seed: int = 0
    workers: int = 1
    resume: bool = False
    title: str = ""
    progress: Callable[[str, int, int], None] = field(default=_silent)
    say: Callable[[str], None] = field(default=print)
