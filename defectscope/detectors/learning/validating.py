"""On which frames the best state of a network and its threshold are chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.errors import InputError

if TYPE_CHECKING:
    from defectscope import Instances, TrainingData, TrainingJob

__all__ = [
    "VALIDATION_FROM",
    "chosen_on",
    "expect_others",
    "spread_numbers",
    "validation_frames",
]

# Generated validation frames have numbers that training never reaches.
VALIDATION_FROM = 2**31
# As much of the middle of two files of one size tells images apart; their beginnings may not.
LOOKED_AT_BYTES = 2**16


def _learned_too(job: TrainingJob) -> tuple[int, int]:
    """Return how many frames of validation are training frames, too, and how many there are."""
    learned, held_out = job.data, job.validation or job.data
    # Generated ones have numbers of their own.
    if learned.length is None or held_out.length is None:
        return 0, 0
    if held_out is learned or held_out.recipe() == learned.recipe() != {}:
        return held_out.length, held_out.length
    return _shared_frames(held_out.sources(), learned.sources()), held_out.length


def _shared_frames(some: Sequence[tuple[Path, str]], others: Sequence[tuple[Path, str]]) -> int:
    """Return how many of some frames are among others as well.

    Each is its file, and which of its frames it is. Copies of a file are the same; of files that
    are large, a part is compared; of those whose size no other has, nothing.
    """
    if set(some) <= set(others):
        return len(some)
    size, part = cache(_size), cache(_middle)
    sizes = {size(path) for path, _ in some}
    near = [(path, which) for path, which in others if size(path) in sizes]
    sizes = {size(path) for path, _ in near}
    known = {(size(path), part(path), which) for path, which in near}
    return sum(
        size(path) in sizes and (size(path), part(path), which) in known for path, which in some
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _middle(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, (_size(path) - LOOKED_AT_BYTES) // 2))
            return hashlib.sha256(file.read(LOOKED_AT_BYTES)).digest()
    except OSError:
        # One that cannot be read is said where it is.
        return str(path).encode()


def _of_same_files(job: TrainingJob) -> bool:
    """Return whether frames of training and of validation show some of the same files."""
    learned, held_out = job.data, job.validation or job.data
    if learned.length is not None or held_out.length is not None:
        return False
    return not held_out.shown_files().isdisjoint(learned.shown_files())


def chosen_on(job: TrainingJob) -> tuple[str, str]:
    """Return what a card calls the frames of validation, and which they are."""
    title = (job.validation or job.data).title
    shared, number = _learned_too(job)
    if not shared:
        same = " (drawn from the same files)" if _of_same_files(job) else ""
        return "validation", title + same
    if shared < number:
        return "validation", f"{title} ({shared} of its {number} frames are training frames)"
    return "training frames", f"{title} (the training frames)"


def expect_others(job: TrainingJob) -> None:
    """Say where scores flatter, because frames that are learned are validated."""
    shared, number = _learned_too(job)
    if _of_same_files(job):
        job.say(
            f"warning: the validation frames of {(job.validation or job.data).title} are drawn "
            "from the same files as the training frames, so that scores may flatter; name frames "
            "of other files with --validation"
        )
    if not shared:
        return
    if shared < number:
        job.say(
            f"warning: {shared} of {number} validation frames are also training frames, where "
            "scores flatter; leave them out of one of the two"
        )
    else:
        job.say(
            "warning: the best state and its threshold are chosen on the training frames, of "
            f"{job.data.title}, where scores flatter; name other frames with --validation"
        )


def validation_frames(
    job: TrainingJob, most: int, usable: Callable[[Instances], bool]
) -> list[tuple[Any, Instances]]:
    """Return pixels and truth of the frames that the best state is chosen on.

    Parameters
    ----------
    job
        Without validation data, it is done on other frames of the recipe, or on the dataset.
    most
        Number of frames at most. Those of a dataset are spread over all of it.
    usable
        Whether there is something to learn in a truth.

    Raises
    ------
    InputError
        No frame is usable.
    """
    data: TrainingData = job.validation or job.data
    frames = []
    with data:
        numbers = _numbers(data, most, usable)
        for number in numbers:
            frames.append(data.load(number))
            job.progress("validation frames", len(frames), len(numbers))
    if not any(usable(truth) for _, truth in frames):
        where = f"its first {len(frames)}" if data.length is None else f"all of its {data.length}"
        if any((~truth.ignore).any() for _, truth in frames):
            raise InputError(
                f"the labels of {data.title} have boxes or masks, but no lines, in {where} frames; "
                "lines are needed: label them as polylines"
            )
        raise InputError(
            f"{data.title} has no defect to learn in {where} frames; there is nothing to learn "
            "from or to choose a threshold on: label some"
        )
    return frames


def _numbers(data: TrainingData, most: int, usable: Callable[[Instances], bool]) -> list[int]:
    if data.length is None:
        return list(range(VALIDATION_FROM, VALIDATION_FROM + most))
    if data.length <= most:
        return list(range(data.length))
    return spread_numbers([usable(data.truth(number)) for number in range(data.length)], most)


def spread_numbers(usable: Sequence[bool], most: int) -> list[int]:
    """Return numbers of `most` frames, spread evenly over those with defects and those without.

    Parameters
    ----------
    usable
        Whether there is something to learn in a frame.
    most
        Number of frames, no more than there are.

    Notes
    -----
    A series that begins before the irradiation has many empty frames. As many are taken as there
    are in proportion, but no more than half while others are left: a threshold is chosen on
    defects.
    """
    flags = np.asarray(usable, bool)
    labelled, empty = np.flatnonzero(flags), np.flatnonzero(~flags)
    share = max(round(most * len(labelled) / len(flags)), (most + 1) // 2, most - len(empty))
    count = min(share, len(labelled))
    return sorted([*_evenly(labelled, count), *_evenly(empty, most - count)])


def _evenly(numbers: np.ndarray[Any, Any], count: int) -> list[int]:
    """Return the middles of as many equal parts."""
    places = ((np.arange(count) + 0.5) * len(numbers) / max(count, 1)).astype(int)
    return [int(number) for number in numbers[places]]
