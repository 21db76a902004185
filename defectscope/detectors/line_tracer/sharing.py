"""Lines that end on what they share with another: one chain passes, the other stops short.

Where two lines come together and one of them ends before they part again, or both end together,
one chain has all places of what they share. An end of the other that is not seen as one tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from defectscope.detectors.line_tracer.meetings import (
    ENDED,
    Chain,
    Meeting,
    concatenated,
    length_of,
    meetings,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["shared"]

# Two lines share at most so much; what is added is no longer than what is known, either.
SHARED_PX = 80.0
# An end this near to where one is seen is the one that is seen: twice the spot that marks it.
SAME_END_PX = 4.0


def shared(chains: Sequence[Chain]) -> list[Chain]:
    """Return chains that go on along others to where a line is seen to end."""
    found = list(chains)
    for meeting in meetings(chains):
        piece = None if meeting.way.ends[-1] > ENDED else _to_the_end(chains, meeting)
        if piece is not None:
            # Both ends of a chain may go on.
            own, last = found[meeting.chain], meeting.way.points[-1]
            way = own if (own.points[-1] == last).all() else own.turned
            found[meeting.chain] = concatenated(way, piece)
    return found


def _to_the_end(chains: Sequence[Chain], meeting: Meeting) -> Chain | None:
    """Return the other chain from the meeting to the first end that is no other line's."""
    into = chains[meeting.into]
    rest = into if meeting.forward else into.turned
    place = meeting.place if meeting.forward else len(into.points) - 1 - meeting.place
    rest = rest.part(slice(place, None))
    longest = min(SHARED_PX, length_of(meeting.way.points))
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(rest.points, axis=0).T))])
    before, after = np.append(np.inf, rest.ends[:-1]), np.append(rest.ends[1:], 0)
    peaks = (rest.ends > ENDED) & (rest.ends >= before) & (rest.ends > after) & (arc <= longest)
    for k in np.flatnonzero(peaks).tolist():
        # Two lines may end together, where the other chain does.
        if k >= len(arc) - 2 or not _claimed(chains, meeting, rest.points[k]):
            return rest.part(slice(k + 1))
    return None


def _claimed(chains: Sequence[Chain], meeting: Meeting, place: NDArray[np.float64]) -> bool:
    ends = np.array([chain.points[row] for k, chain in enumerate(chains)
                     for row in (0, -1) if k != meeting.chain])  # fmt: skip
    return bool((np.hypot(*(ends - place).T) < SAME_END_PX).any())
