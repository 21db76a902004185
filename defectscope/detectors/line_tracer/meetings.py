"""Ends of chains that run into other chains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ENDED", "Chain", "Meeting", "concatenated", "length_of", "meetings"]

# A line ends where this is the probability that one does.
ENDED = 0.5
# An end runs into a chain that it would meet within this, and that goes on as it does.
AHEAD_PX, ASIDE_PX, MEETING_RAD = 1.0, 4.0, np.deg2rad(35)
# So many points are asked for, of which some are the chain's own; points back give directions.
NEIGHBOURS, BACK = 12, 3


class Chain(NamedTuple):
    """Points of a line in order.

    Parameters
    ----------
    points
        (k, 2) x, y in px.
    scores, ends
        (k,) probabilities that a line passes there, and that one ends there.
    """

    points: NDArray[np.float64]
    scores: NDArray[np.float64]
    ends: NDArray[np.float64]

    def part(self, places: slice) -> Chain:
        """Return some of the points."""
        return Chain(self.points[places], self.scores[places], self.ends[places])

    @property
    def turned(self) -> Chain:
        """The same from the other end."""
        return self.part(slice(None, None, -1))


class Meeting(NamedTuple):
    """An end of a chain that runs into another one."""

    chain: int
    # The chain in the direction in which it runs into the other.
    way: Chain
    into: int
    place: int
    # Whether it goes on there towards the last point.
    forward: bool


def concatenated(*parts: Chain) -> Chain:
    """Return one chain of several, as they come."""
    return Chain(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def length_of(points: NDArray[np.float64]) -> float:
    """Return the length of (k, 2) points, px."""
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def meetings(chains: Sequence[Chain]) -> list[Meeting]:
    """Return every end that runs into another chain, with the place where it does."""
    from scipy.spatial import cKDTree

    if len(chains) < 2:
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
    tangents = _tangents(chains)
    near = np.minimum(near, len(points) - 1)
    along = (tangents[near] * directions[:, None]).sum(axis=2)
    # The nearest that goes on as the end does: others that end there as well turn away.
    foreign &= np.abs(along) >= np.cos(MEETING_RAD)
    found = []
    for end in np.flatnonzero(foreign.any(axis=1)).tolist():
        own, column = end // 2, int(foreign[end].argmax())
        row = int(near[end, column])
        into = int(owner[row])
        chain = chains[own]
        way = chain if end % 2 else chain.turned
        forward = bool(along[end, column] > 0)
        found.append(Meeting(own, way, into, row - int(first[into]), forward))
    return found


def _ends(chains: Sequence[Chain]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (2n, 2) ends, first before last, and the directions in which chains leave there."""
    backs = [min(BACK, len(chain.points) - 1) for chain in chains]
    ends = np.array([chain.points[row] for chain in chains for row in (0, -1)])
    inner = np.array([chain.points[row] for chain, back in zip(chains, backs, strict=True)
                      for row in (back, -1 - back)])  # fmt: skip
    ways = ends - inner
    return ends, ways / np.maximum(np.hypot(*ways.T), 1e-9)[:, None]


def _tangents(chains: Sequence[Chain]) -> NDArray[np.float64]:
    """Return (n, 2) unit vectors along all chains, from two points before to two after."""
    found = []
    for points in (chain.points for chain in chains):
        places = np.arange(len(points))
        ahead, behind = np.minimum(places + 2, len(points) - 1), np.maximum(places - 2, 0)
        found.append(points[ahead] - points[behind])
    tangents = np.concatenate(found)
    return np.asarray(tangents / np.maximum(np.hypot(*tangents.T), 1e-9)[:, None])
