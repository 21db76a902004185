"""Voting over time within a run: frames wait for those after them, and come out in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from defectscope.core.errors import UsageError
from defectscope.core.voting import VotingWindow
from defectscope.pipeline.stages import FrameOutcome

if TYPE_CHECKING:
    from defectscope.core.calibration import Calibration
    from defectscope.core.votes import Vote

__all__ = ["Outcomes", "check_vote", "first_needed", "voted"]

# Closed when no more are wanted.
Outcomes: TypeAlias = Generator[FrameOutcome, None, None]


def check_vote(vote: Vote, indices: Sequence[int]) -> list[str]:
    """Return warnings about a vote on a series.

    Parameters
    ----------
    vote
        K and N.
    indices
        Frame indices in the order of the series.

    Raises
    ------
    UsageError
        The frames are not in the order of their indices.
    """
    steps = [later - earlier for earlier, later in pairwise(indices)]
    if min(steps, default=1) < 1:
        raise UsageError(
            "voting over time needs frames in the order of their indices, which rise from frame "
            "to frame; sort the frames, or leave the vote out"
        )
    if min(steps, default=vote.window) <= max(vote.before, vote.after) or vote.window == 1:
        return []
    return [
        f"the vote {vote} keeps everything: no frame has another within its window of "
        f"{vote.window} frame indices"
    ]


def first_needed(vote: Vote | None, indices: Sequence[int], start: int) -> int:
    """Return the position of the first frame that a vote on those from `start` on looks at."""
    if vote is None or not 0 < start < len(indices):
        return start
    earliest = indices[start] - vote.before
    return next(k for k, index in enumerate(indices) if index >= earliest)


def voted(outcomes: Outcomes, vote: Vote, calibration: Calibration) -> Outcomes:
    """Yield the outcomes of frames, in order, with the rows that the vote leaves.

    Parameters
    ----------
    outcomes
        In the order of the frame indices; closed at the end.
    vote
        K and N.
    calibration
        For the times and doses of rows that are filled in.
    """
    window = VotingWindow(vote, calibration)
    waiting: deque[FrameOutcome] = deque()
    with closing(outcomes):
        for outcome in outcomes:
            begun = time.perf_counter()
            waiting.append(outcome)
            decided = window.add(outcome.index, outcome.rows)
            outcome.timings_s["vote"] = time.perf_counter() - begun
            for rows in decided:
                yield replace(waiting.popleft(), rows=rows)
    for rows in window.rest():
        yield replace(waiting.popleft(), rows=rows)
