"""Chains of tokens: each token is linked to at most one ahead and one behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.detectors.line_tracer.tokens import Tokens, near_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Links", "chains", "linked"]

# Tokens farther apart are left to the joining of gaps.
REACH_PX = 6.5
LEAST_ALONG_PX = 0.7
# Farther apart than neighbours ever are, a diagonal of cells: between two ends that is a gap.
GAP_PX = 3.5
# A neighbour may lie aside by this, and by this part of its distance.
ASIDE_PX, ASIDE_SHARE = 0.6, 0.35
MOST_TURN_RAD = np.deg2rad(30)
# What a radian of bend costs, in px of distance.
BEND_PX = 5.0


class Links(NamedTuple):
    """Possible or chosen links.

    Parameters
    ----------
    first, second
        (m,) positions.
    ahead_first, ahead_second
        (m,) whether the link leaves through the port in the direction of the token's angle.
    cost
        (m,) px.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    ahead_first: NDArray[np.bool_]
    ahead_second: NDArray[np.bool_]
    cost: NDArray[np.float64]


def _candidates(tokens: Tokens, ended: NDArray[np.bool_] | None) -> Links:
    first, second = near_pairs(tokens.points, REACH_PX).T
    directions = tokens.directions
    apart = tokens.points[second] - tokens.points[first]
    distance = np.hypot(*apart.T)
    bends, ahead, fit = [], [], np.ones(len(first), bool)
    if ended is not None:
        fit = (distance < GAP_PX) | ~(ended[first] & ended[second])
    for position, sign in ((first, 1.0), (second, -1.0)):
        tx, ty = directions[position].T
        along = sign * (apart[:, 0] * tx + apart[:, 1] * ty)
        across = sign * (apart[:, 1] * tx - apart[:, 0] * ty)
        fit &= np.abs(along) >= LEAST_ALONG_PX
        fit &= np.abs(across) <= ASIDE_PX + ASIDE_SHARE * np.abs(along)
        ahead.append(along > 0)
        bends.append(np.arctan2(np.abs(across), np.abs(along)))
    turn = np.abs(tokens.angles[first] - tokens.angles[second]) % np.pi
    fit &= np.minimum(turn, np.pi - turn) <= MOST_TURN_RAD
    cost = distance + BEND_PX * (bends[0] + bends[1])
    return Links(first[fit], second[fit], ahead[0][fit], ahead[1][fit], cost[fit])


def linked(tokens: Tokens, ended: NDArray[np.bool_] | None = None) -> list[list[int]]:
    """Return, for each token, its neighbours behind and ahead, -1 where there is none.

    The cheapest link of all comes first, as long as both its ports are free.

    Parameters
    ----------
    tokens
        Those of one frame.
    ended
        (n,) whether a line is seen to end there; across a gap two such are not linked.
    """
    links = _candidates(tokens, ended)
    ports = [[-1, -1] for _ in range(len(tokens.scores))]
    order = np.argsort(links.cost, kind="stable")
    columns = (links.first, links.second, links.ahead_first, links.ahead_second)
    for a, b, p, q in zip(*(c[order].tolist() for c in columns), strict=True):
        if ports[a][p] < 0 and ports[b][q] < 0 and b not in ports[a]:
            ports[a][p], ports[b][q] = b, a
    return ports


def chains(ports: list[list[int]]) -> list[list[int]]:
    """Return the tokens of every chain in order; those of a loop begin and end with the same."""
    seen = [False] * len(ports)
    found = []
    # Ends first; what is left after them are loops.
    starts = [k for k, own in enumerate(ports) if -1 in own]
    for start in [*starts, *range(len(ports))]:
        if seen[start]:
            continue
        # A token with two neighbours, from which a loop is walked, begins with either.
        chain, before, here = list[int](), min(ports[start]), start
        while here >= 0 and not seen[here]:
            seen[here] = True
            chain.append(here)
            one, other = ports[here]
            before, here = here, other if one == before else one
        if here == start and len(chain) > 2:
            chain.append(start)
        found.append(chain)
    return found
