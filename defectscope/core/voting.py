"""Voting over time: a detection stays when enough of the neighbouring frames show it too."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.calibration import Calibration
from defectscope.core.chains import ChainLinker
from defectscope.core.frame_rows import FrameRows
from defectscope.core.gap_filling import Gap, rows_between
from defectscope.core.votes import Vote

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VotingWindow"]


@dataclass
class _Member:
    """A frame of the window; one that could not be read neither votes nor is voted on."""

    frame: int
    rows: FrameRows
    readable: bool
    chains: NDArray[np.int64]

    def __post_init__(self) -> None:
        self.row_of = {chain: row for row, chain in enumerate(self.chains.tolist())}


class VotingWindow:
    """Votes on frames as they come in, and holds no more of them than the window has.

    A detection stays when it is found in K of the N frames around it (P2's video: 6 of 9). One
    that is missing between two sightings in the window is filled in, if it has K sightings too;
    its ``origin`` is ``interpolated``, and it comes after the rows that stay. Where frames of the
    window are missing (at the ends of a series, at gaps in the numbering, where a frame could not
    be read), K shrinks with them and is rounded up. Sightings are one defect as
    :class:`defectscope.core.chains.ChainLinker` says.

    Parameters
    ----------
    vote
        K and N.
    calibration
        For the times and doses of rows that are filled in.

    Notes
    -----
    What becomes of a frame depends on the frames of its window alone, so that a series may be
    voted on in pieces that overlap by the window.
    """

    def __init__(self, vote: Vote, calibration: Calibration | None = None) -> None:
        self.vote = vote
        self._calibration = calibration or Calibration()
        # Both sightings beside a gap lie in the window of the frame between them.
        self._linker = ChainLinker(vote.window - 1)
        self._members: deque[_Member] = deque()
        self._decided = 0  # so many of the members, in front

    def add(self, frame: int, rows: FrameRows | None) -> list[FrameRows | None]:
        """Take the next frame, and return those that can be decided now, in order.

        Parameters
        ----------
        frame
            Frame index, above that of the frame before.
        rows
            Its rows; None where it could not be read, and then None is returned for it.
        """
        if rows is None:
            nothing = FrameRows(frame, {})
            self._members.append(_Member(frame, nothing, False, np.zeros(0, np.int64)))
        else:
            chains = self._linker.link(frame, rows.boxes, rows.detections["defect_type"])
            self._members.append(_Member(frame, rows, True, chains))
        return self._decide(frame - self.vote.after)

    def rest(self) -> list[FrameRows | None]:
        """Return the frames that wait, when no more come."""
        return self._decide(self._members[-1].frame) if self._members else []

    def _decide(self, last: int) -> list[FrameRows | None]:
        decided = []
        while self._decided < len(self._members) and self._members[self._decided].frame <= last:
            decided.append(self._next())
        return decided

    def _next(self) -> FrameRows | None:
        own = self._members[self._decided]
        while self._members[0].frame < own.frame - self.vote.before:
            self._members.popleft()
            self._decided -= 1
        self._decided += 1
        if not own.readable:
            return None
        last = own.frame + self.vote.after
        return self._elect(own, [m for m in self._members if m.readable and m.frame <= last])

    def _elect(self, own: _Member, window: Sequence[_Member]) -> FrameRows:
        chains, sightings = np.unique(
            np.concatenate([member.chains for member in window]), return_counts=True
        )
        elected = chains[sightings >= self.vote.needed_of(len(window))]
        stay = np.isin(own.chains, elected, assume_unique=True)
        gaps = _gaps(own.frame, np.setdiff1d(elected, own.chains, assume_unique=True), window)
        if stay.all() and not gaps:
            return own.rows
        kept = own.rows[stay]
        return self._filled(kept, gaps) if gaps else kept

    def _filled(self, kept: FrameRows, gaps: Sequence[Gap]) -> FrameRows:
        rows, outlines = rows_between(kept.frame, gaps)
        # By place, so that the order of the rows in other frames decides nothing.
        order = np.lexsort(FrameRows(kept.frame, rows).boxes.T[::-1])
        rows = {name: column[order] for name, column in rows.items()}
        known = {"time_s": self._calibration.time_s, "dose_dpa": self._calibration.dose_dpa}
        for name, law in known.items():
            if name in rows and (value := law(kept.frame)) is not None:
                rows[name] = np.full(len(order), value)
        return kept.extended(rows, [outlines[k] for k in order])


def _gaps(frame: int, chains: NDArray[np.int64], window: Sequence[_Member]) -> list[Gap]:
    """Return the chains that go on across a frame which lacks them."""
    gaps = []
    for chain in chains.tolist():
        seen = [member for member in window if chain in member.row_of]
        count = sum(member.frame < frame for member in seen)
        if 0 < count < len(seen):
            first, then = seen[count - 1], seen[count]
            gaps.append(Gap(first.rows, first.row_of[chain], then.rows, then.row_of[chain]))
    return gaps
