"""Lines that share a piece: at small angles two of them cannot be told apart where they cross.

There the places (x, y, θ) of both are the same, so that one chain passes and the other is broken,
or each goes on along the other's course. Two ends that run into one chain from either side, one
after the other, show where that happened; the smoother courses are taken, and both lines have the
piece that they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Chain", "untangled"]

# An end runs into a chain that it would meet within this, and that goes on as it does.
AHEAD_PX, ASIDE_PX, MEETING_RAD = 1.0, 4.0, np.deg2rad(35)
# So many points are asked for, of which some are the chain's own; points back give directions.
NEIGHBOURS, BACK = 12, 3
# Two lines share at most so much.
SHARED_PX = 80.0
# Courses are judged by a cubic through so much on either side of what is shared.
JUDGED_PX, DEGREE = 30.0, 3
LEAST_POINTS = 4
# Exchanging the ends of two lines must pay: rather two that cross than two that turn away.
EXCHANGE = 0.5
# Root mean square distance from its cubic of a course that no line has, px.
ROUGHEST_PX = 2.5
PASSES = 3


class Chain(NamedTuple):
    """(k, 2) points x, y in px, and the (k,) probabilities there."""

    points: NDArray[np.float64]
    scores: NDArray[np.float64]

    def part(self, places: slice) -> Chain:
        """Return some of the points."""
        return Chain(self.points[places], self.scores[places])


class _Meeting(NamedTuple):
    """An end of a chain that runs into another one."""

    chain: int
    # The chain in the direction in which it runs into the other.
    way: Chain
    into: int
    place: int
    # Whether it goes on there towards the last point.
    forward: bool


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
        for one, other in _pairs(_meetings(found)):
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


def _meetings(chains: Sequence[Chain]) -> list[_Meeting]:
    from scipy.spatial import cKDTree

    if len(chains) < 3:
        return []
    ends, directions = _ends(chains)
    points = np.concatenate([chain.points for chain in chains])
    owner = np.repeat(np.arange(len(chains)), [len(chain.points) for chain in chains])
    first = np.concatenate([[0], np.cumsum([len(chain.points) for chain in chains])])
    ahead = ends + AHEAD_PX * directions
    near = np.asarray(cKDTree(points).query(ahead, NEIGHBOURS, distance_upper_bound=ASIDE_PX)[1])
    # Where there are fewer, the tree gives a position beyond the last.
    foreign = np.append(owner, -1)[near] != (np.arange(len(ends)) // 2)[:, None]
    foreign &= near < len(points)
    found = []
    for end in np.flatnonzero(foreign.any(axis=1)).tolist():
        own, row = end // 2, int(near[end, foreign[end].argmax()])
        into, place = int(owner[row]), row - int(first[owner[row]])
        other = chains[into].points
        tangent = other[min(place + 2, len(other) - 1)] - other[max(place - 2, 0)]
        length = float(np.hypot(*tangent))
        along = float(tangent @ directions[end]) / max(length, 1e-9)
        if abs(along) < np.cos(MEETING_RAD):
            continue
        chain = chains[own]
        way = chain if end % 2 else chain.part(slice(None, None, -1))
        found.append(_Meeting(own, way, into, place, along > 0))
    return found


def _ends(chains: Sequence[Chain]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (2n, 2) ends, first before last, and the directions in which chains leave there."""
    backs = [min(BACK, len(chain.points) - 1) for chain in chains]
    ends = np.array([chain.points[row] for chain in chains for row in (0, -1)])
    inner = np.array([chain.points[row] for chain, back in zip(chains, backs, strict=True)
                      for row in (back, -1 - back)])  # fmt: skip
    ways = ends - inner
    return ends, ways / np.maximum(np.hypot(*ways.T), 1e-9)[:, None]


def _pairs(meetings: Sequence[_Meeting]) -> list[tuple[_Meeting, _Meeting]]:
    """Return ends that run into one chain from either side, the shortest shared piece first."""
    on_chain: dict[int, list[_Meeting]] = {}
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
    chains: Sequence[Chain], one: _Meeting, other: _Meeting
) -> dict[int, list[Chain]] | None:
    """Return what becomes of chains, by position, or None where their courses make no two lines."""
    middle = chains[one.into]
    shared = middle.part(slice(one.place, other.place + 1))
    if _length(shared.points) > SHARED_PX:
        return None
    before, after = middle.part(slice(None, one.place)), middle.part(slice(other.place + 1, None))
    leaving = other.way.part(slice(None, None, -1))
    if min(len(before.points), len(after.points)) < LEAST_POINTS:
        return None
    kept = _roughness(one.way, shared, leaving), _roughness(before, shared, after)
    exchanged = _roughness(before, shared, leaving), _roughness(one.way, shared, after)
    if np.square(exchanged).sum() < EXCHANGE * np.square(kept).sum():
        if max(exchanged) > ROUGHEST_PX:
            return None
        return {
            one.into: [_joined(before, shared, leaving)],
            one.chain: [_joined(one.way, shared, after)],
            other.chain: [],
        }
    if kept[0] > ROUGHEST_PX:
        return None
    return {one.chain: [_joined(one.way, shared, leaving)], other.chain: []}


def _joined(*parts: Chain) -> Chain:
    return Chain(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _length(points: NDArray[np.float64]) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


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
