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
    from defectscope.core.frame_rows import FrameRows
    from defectscope.core.votes import Vote

__all__ = ["Outcomes", "VotedFrames", "check_vote", "first_needed", "first_to_repeat", "voted"]

# A frame with fewer detections may lose them by chance.
FEWEST_TO_TELL = 4
EMPTIED_SHARE, FULL_SHARE = 0.1, 0.5

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


def first_to_repeat(vote: Vote, indices: Sequence[int]) -> int:
    """Return the position of the first frame that a vote on what follows after all looks at."""
    if not indices:
        return 0
    earliest = indices[-1] + 1 - vote.before
    return next((k for k, index in enumerate(indices) if index >= earliest), len(indices))


class VotedFrames:
    """Frames that are held until those after them are known, and come out as the vote leaves them.

    Parameters
    ----------
    vote
        K and N.
    calibration
        For the times and doses of rows that are filled in.
    registered
        Whether the frames lie on each other; else one that a jump of the stage emptied is told.
    """

    def __init__(self, vote: Vote, calibration: Calibration, registered: bool = False) -> None:
        self._window = VotingWindow(vote, calibration)
        self._held: deque[FrameOutcome] = deque()
        self._losses = None if registered else _Losses(vote)

    def __len__(self) -> int:
        return len(self._held)

    def add(self, outcome: FrameOutcome) -> list[FrameOutcome]:
        """Take the next frame in the order of the indices; return those that are decided now."""
        begun = time.perf_counter()
        self._held.append(outcome)
        decided = self._window.add(outcome.index, outcome.rows)
        outcome.timings_s["vote"] = time.perf_counter() - begun
        return self._let_go(decided)

    def rest(self) -> list[FrameOutcome]:
        """Return the frames that are held, when no more come."""
        return self._let_go(self._window.rest())

    def _let_go(self, decided: Sequence[FrameRows | None]) -> list[FrameOutcome]:
        return [self._after_vote(self._held.popleft(), rows) for rows in decided]

    def _after_vote(self, outcome: FrameOutcome, rows: FrameRows | None) -> FrameOutcome:
        said = None
        if self._losses is not None and outcome.rows is not None and rows is not None:
            said = self._losses.add(outcome.index, len(outcome.rows), _kept(rows))
        warnings = outcome.warnings if said is None else [*outcome.warnings, said]
        return replace(outcome, rows=rows, warnings=warnings)


def _kept(rows: FrameRows) -> int:
    origins = rows.detections.get("origin")
    return len(rows) if origins is None else int((origins != "interpolated").sum())


class _Losses:
    """Looks for frames that a vote empties while it keeps most of those before and after them."""

    def __init__(self, vote: Vote) -> None:
        self._vote = vote
        self._follows_full = False
        self._emptied: list[int] = []
        self._said = False

    def add(self, index: int, before: int, after: int) -> str | None:
        """Take the numbers of detections before and after the vote; return what is to be said."""
        if before < FEWEST_TO_TELL:
            return None
        share = after / before
        if share <= EMPTIED_SHARE and self._follows_full:
            self._emptied.append(index)
            return None
        emptied, self._emptied = self._emptied, []
        self._follows_full = share >= FULL_SHARE
        # At a jump, no more frames than the window has on one side are far from it.
        if not emptied or not self._follows_full or len(emptied) > self._vote.window:
            return None
        if self._said:
            return None
        self._said = True
        return (
            f"the vote {self._vote} leaves nearly nothing of frame {emptied[0]}, while it keeps "
            "most of the frames around it; if the stage jumped there, use --register"
        )


def voted(
    outcomes: Outcomes, vote: Vote, calibration: Calibration, registered: bool = False
) -> Outcomes:
    """Yield the outcomes of frames, in order, with the rows that the vote leaves.

    Parameters
    ----------
    outcomes
        In the order of the frame indices; closed at the end.
    vote
        K and N.
    calibration
        For the times and doses of rows that are filled in.
    registered
        Whether the frames lie on each other.
    """
    frames = VotedFrames(vote, calibration, registered)
    with closing(outcomes):
        for outcome in outcomes:
            yield from frames.add(outcome)
    yield from frames.rest()
