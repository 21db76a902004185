"""On which frames the best state of a network and its threshold are chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.errors import InputError
from defectscope.core.shared_frames import shared_frames

if TYPE_CHECKING:
    from defectscope import Instances, TrainingData, TrainingJob

__all__ = [
    "VALIDATION_FROM",
    "chosen_on",
    "expect_others",
    "frames_learned_too",
    "on_training_frames",
    "spread_numbers",
    "validation_frames",
]

# Generated validation frames have numbers that training never reaches.
VALIDATION_FROM = 2**31


def on_training_frames(job: TrainingJob) -> bool:
    """Return whether the best state is chosen on the very frames that are learned."""
    if job.data.length is None:
        return False
    if job.validation is None:
        return True
    if job.validation.length is None:
        return False
    same = job.validation.recipe() == job.data.recipe() != {}
    return same or frames_learned_too(job) == job.validation.length


def frames_learned_too(job: TrainingJob) -> int:
    """Return how many frames of the validation data are among the training data, too."""
    held_out = None if job.validation is None else job.validation.sources()
    return shared_frames(held_out, job.data.sources()) if held_out else 0


def chosen_on(job: TrainingJob) -> tuple[str, str]:
    """Return what a card calls the frames of validation, and which they are."""
    title = (job.validation or job.data).title
    if on_training_frames(job):
        return "training frames", f"{title} (the training frames)"
    shared = frames_learned_too(job)
    if shared:
        number = job.validation.length if job.validation else None
        return "validation", f"{title} ({shared} of its {number} frames are training frames)"
    return "validation", title


def expect_others(job: TrainingJob) -> None:
    """Say where scores flatter, because frames that are learned are validated."""
    if on_training_frames(job):
        job.say(
            "warning: the best state and its threshold are chosen on the training frames, of "
            f"{job.data.title}, where scores flatter; name other frames with --validation"
        )
    elif shared := frames_learned_too(job):
        assert job.validation is not None
        job.say(
            f"warning: {shared} of {job.validation.length} validation frames are also training "
            "frames, where scores flatter; leave them out of one of the two"
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
