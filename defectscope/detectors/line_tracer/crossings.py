"""Lines that share a piece: at small angles two of them cannot be told apart where they cross.

There the places (x, y, θ) of both are the same, so that one chain passes and the other is broken,
or each goes on along the other's course. Two ends that run into one chain from either side, one
after the other, show where that happened; the smoother courses are taken, and both lines have the
piece that they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from defectscope.detectors.line_tracer.meetings import (
    Chain,
    Meeting,
    concatenated,
    length_of,
    meetings,
)

__all__ = ["untangled"]

# Two lines share at most so much.
SHARED_PX = 120.0
# Courses are judged by a cubic through so much on either side of what is shared.
JUDGED_PX, DEGREE = 30.0, 3
LEAST_POINTS = 4
# Exchanging the ends of two lines must pay: rather two that cross than two that turn away.
EXCHANGE = 0.5
# Root mean square distance from its cubic of a course that no line has, px.
ROUGHEST_PX = 2.5
PASSES = 3


def untangled(chains: Sequence[Chain]) -> list[Chain]:
    """Return chains that go on through what they share with others.

    Parameters
    ----------
    chains
        Each with at least two points, about 1 to 4 px apart.
    """
    found = list(chains)
    for _ in range(PASSES):
        changed, touched = dict[int, list[Chain]](), set[int]()
        for one, other in _pairs(meetings(found)):
            involved = {one.chain, other.chain, one.into}
            if len(involved) < 3 or involved & touched:
                continue
            better = _resolved(found, one, other)
            if better is not None:
                touched |= involved
                changed |= better
        if not changed:
            break
        found = [part for k, chain in enumerate(found) for part in changed.get(k, [chain])]
    return found


def _pairs(meetings: Sequence[Meeting]) -> list[tuple[Meeting, Meeting]]:
    """Return ends that run into one chain from either side, the shortest shared piece first."""
    on_chain: dict[int, list[Meeting]] = {}
    for meeting in meetings:
        on_chain.setdefault(meeting.into, []).append(meeting)
    pairs = [
        (other.place - one.place, one, other)
        for together in on_chain.values()
        for one, other in permutations(together, 2)
        if one.forward
        and not other.forward
        and one.chain != other.chain
        and one.place <= other.place
    ]
    return [(one, other) for _, one, other in sorted(pairs, key=lambda p: p[0])]


def _resolved(
    chains: Sequence[Chain], one: Meeting, other: Meeting
) -> dict[int, list[Chain]] | None:
    """Return what becomes of chains, by position, or None where their courses make no two lines."""
    middle = chains[one.into]
    shared = middle.part(slice(one.place, other.place + 1))
    if length_of(shared.points) > SHARED_PX:
        return None
    before, after = middle.part(slice(None, one.place)), middle.part(slice(other.place + 1, None))
    leaving = other.way.turned
    if min(len(before.points), len(after.points)) < LEAST_POINTS:
        return None
    kept = _roughness(one.way, shared, leaving), _roughness(before, shared, after)
    exchanged = _roughness(before, shared, leaving), _roughness(one.way, shared, after)
    if np.square(exchanged).sum() < EXCHANGE * np.square(kept).sum():
        if max(exchanged) > ROUGHEST_PX:
            return None
        return {
            one.into: [concatenated(before, shared, leaving)],
            one.chain: [concatenated(one.way, shared, after)],
            other.chain: [],
        }
    if kept[0] > ROUGHEST_PX:
        return None
    return {one.chain: [concatenated(one.way, shared, leaving)], other.chain: []}


def _roughness(before: Chain, shared: Chain, after: Chain) -> float:
    """Return how far a course is from a cubic: root mean square, px, beside what is shared."""
    points = np.concatenate([before.points, shared.points, after.points])
    steps = np.hypot(*np.diff(points, axis=0).T)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    start, stop = arc[len(before.points) - 1], arc[len(points) - len(after.points)]
    near = (arc >= start - JUDGED_PX) & (arc <= stop + JUDGED_PX)
    near[len(before.points) : len(points) - len(after.points)] = False
    span = max(stop - start + 2 * JUDGED_PX, 1.0)
    t = (arc[near] - start + JUDGED_PX) / span
    basis = np.vander(t, DEGREE + 1)
    fitted = basis @ np.linalg.lstsq(basis, points[near], rcond=None)[0]
    return float(np.sqrt(np.square(fitted - points[near]).sum(axis=1).mean()))
