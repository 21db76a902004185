"""Gaps between chains, joined where direction and curvature say that they are one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.groups import ways_through
from defectscope.detectors.line_tracer.lattice import STRIDE
from defectscope.detectors.line_tracer.tokens import near_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["JoinRules", "join_chains", "mean_along"]

# The direction of an end is that of its last points over this length.
END_PX = 9.0
# So many points at most, of 1.9 px or more.
END_POINTS = 12
# Ends may overlap by this much.
OVERLAP_PX = 8.0


class JoinRules(NamedTuple):
    """What may be joined.

    Parameters
    ----------
    gap_px
        Largest gap.
    free_gap_px
        Gaps up to here need no sign of a line in them.
    evidence
        Mean probability of a line, of any direction, that longer gaps need.
    bend_rad
        Largest angle between an end and the way to the other.
    """

    gap_px: float = 28.0
    free_gap_px: float = 7.0
    evidence: float = 0.25
    bend_rad: float = float(np.deg2rad(28))

    def tight(self) -> JoinRules:
        """Return the rules for gaps alone that need no sign of a line."""
        return self._replace(gap_px=min(self.gap_px, self.free_gap_px))


def _ends(chains: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (2n, 2) end points and the directions in which lines leave, first ends before last."""
    places = np.arange(END_POINTS)
    # The last point is repeated where there are fewer.
    parts = np.array([line[np.minimum(places, len(line) - 1)] for chain in chains
                      for line in (chain, chain[::-1])])  # fmt: skip
    counts = np.repeat([min(len(chain), END_POINTS) for chain in chains], 2)
    steps = np.hypot(*np.moveaxis(np.diff(parts, axis=1), 2, 0))
    arc = np.concatenate([np.zeros((len(parts), 1)), np.cumsum(steps, axis=1)], axis=1)
    taken = ((arc <= END_PX) | (places < 2)) & (places < counts[:, None])
    counts = taken.sum(axis=1)
    slopes = parts[:, 0] - parts[np.arange(len(parts)), counts - 1]
    # A parabola through the last points, for lines bend; its slope at the end counts.
    bent = np.flatnonzero(counts >= 5)
    basis = np.where(taken, 1.0, 0.0)[bent, :, None] * arc[bent, :, None] ** np.arange(3)
    wanted = basis.transpose(0, 2, 1) @ parts[bent]
    slopes[bent] = -np.linalg.solve(basis.transpose(0, 2, 1) @ basis, wanted)[:, 1]
    return parts[:, 0], slopes / np.maximum(np.hypot(*slopes.T), 1e-9)[:, None]


def join_chains(
    chains: list[NDArray[np.float64]],
    evidence: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    rules: JoinRules,
    ended: NDArray[np.bool_] | None = None,
) -> list[list[tuple[int, bool]]]:
    """Return which chains, in which order, are one line.

    Parameters
    ----------
    chains
        (k, 2) points of each, k at least 2.
    evidence
        Gives the mean probability of a line on the way between two (m, 2) arrays of points.
    rules
        What may be joined.
    ended
        (2n,) whether a line is seen to end there, first ends before last.

    Returns
    -------
    For each line its chains as (position, reversed).
    """
    n = len(chains)
    if not n:
        return []
    points, directions = _ends(chains)
    ordered = _ordered(points, directions, evidence, rules)
    if ended is not None:
        ordered = [(a, b) for a, b in ordered if not (ended[a] and ended[b])]
    return ways_through(n, ordered)


def _ordered(
    points: NDArray[np.float64],
    directions: NDArray[np.float64],
    evidence: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    rules: JoinRules,
) -> list[tuple[int, int]]:
    """Return pairs of ends that may be joined, the most plausible first."""
    # A little more, for those at the limit: it is the distance here that decides.
    a, b = near_pairs(points, rules.gap_px + 1e-6).T
    apart = points[b] - points[a]
    distance = np.hypot(*apart.T)
    near = (distance <= rules.gap_px) & (a // 2 != b // 2)
    a, b, apart, distance = a[near], b[near], apart[near], distance[near]
    bends, fit = [], np.ones(len(a), bool)
    for position, way in ((a, apart), (b, -apart)):
        tx, ty = directions[position].T
        along, across = way[:, 0] * tx + way[:, 1] * ty, way[:, 1] * tx - way[:, 0] * ty
        # Very near ends may lie beside or behind each other.
        bend = np.arctan2(across, np.maximum(along + OVERLAP_PX, 1e-6))
        fit &= (along > -OVERLAP_PX) & (np.abs(across) <= 1.8 + 0.5 * np.maximum(along, 0))
        fit &= np.abs(bend) <= rules.bend_rad
        bends.append(bend)
    # The ends of one line face each other.
    facing = (directions[a] * directions[b]).sum(axis=1)
    fit &= facing < -np.cos(2 * rules.bend_rad)
    # On a circle both bends are alike and to the same side, seen from either end.
    uneven = np.abs(bends[0] + bends[1])
    fit &= uneven <= rules.bend_rad
    a, b, distance, uneven = a[fit], b[fit], distance[fit], uneven[fit]
    bend = (np.abs(bends[0]) + np.abs(bends[1]))[fit]
    sure = distance <= rules.free_gap_px
    far = np.flatnonzero(~sure)
    if len(far):
        sure[far] = evidence(points[a[far]], points[b[far]]) >= rules.evidence
    cost = distance + 10 * bend + 10 * uneven
    order = np.flatnonzero(sure)[np.argsort(cost[sure], kind="stable")]
    return list(zip(a[order].tolist(), b[order].tolist(), strict=True))


def mean_along(
    values: NDArray[np.float32], start: NDArray[np.float64], stop: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of (h, w) values of cells on the straight ways between places in px."""
    share = np.linspace(0.1, 0.9, 9)[:, None, None]
    places = (start + share * (stop - start)) / STRIDE
    h, w = values.shape
    columns = np.clip(places[..., 0].astype(np.intp), 0, w - 1)
    rows = np.clip(places[..., 1].astype(np.intp), 0, h - 1)
    return np.asarray(values[rows, columns].mean(axis=0), np.float64)
