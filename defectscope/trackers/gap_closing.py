"""Pieces of one particle's track joined across the frames in which it was not found.

Jaqaman et al., Nat. Methods 5 (2008) 695: the ends of pieces are assigned to beginnings of later
ones at least cost over the whole series, after the linking from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GapLimits", "close_gaps"]

# Sightings whose mean says where a piece ends or begins, and how large the particle is there.
END_SIGHTINGS = 3
# Cost of leaving an end open, of a pair at the limits of distance or of size 1 each.
OPEN_COST = 1.0
# How much a frame of waiting costs, as a share of the longest gap.
WAITING_COST = 0.1


@dataclass(frozen=True)
class GapLimits:
    """What may be one particle on both sides of a gap.

    Parameters
    ----------
    max_gap
        Frames in which it may be missing.
    range_px
        Distance of the mean of the last sightings from that of the first ones after the gap, px.
    size_ratio
        Ratio of the larger size to the smaller one.
    """

    max_gap: int
    range_px: float
    size_ratio: float


@dataclass(frozen=True)
class _Ends:
    """One end of each piece: its frame, the mean place near it, log size and kind."""

    frames: NDArray[np.int64]
    places: NDArray[np.float64]
    log_sizes: NDArray[np.float64]
    kinds: NDArray[np.int64]


def close_gaps(
    frames: NDArray[np.int64],
    positions: NDArray[np.float64],
    tracks: NDArray[np.int64],
    limits: GapLimits,
    sizes: NDArray[np.float64] | None = None,
    kinds: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the tracks of positions after pieces were joined; they count by first appearance.

    Parameters
    ----------
    frames
        (n,) frame indices in ascending order.
    positions
        (n, 2) positions, px, without the movement that all share.
    tracks
        (n,) the track of each position, counted from 0 by first appearance.
    limits
        What may be one particle.
    sizes
        (n,) sizes, px; NaN where unknown, which fits every size.
    kinds
        (n,) numbers of defect types, which must be the same.

    Notes
    -----
    A pair costs (distance / range)² + (log ratio of sizes / log ratio allowed)², and a little for
    the length of the gap; an end that stays open costs 1, so that a pair at both limits at once is
    not made. Equal costs are decided by the order of the tracks.
    """
    if limits.max_gap < 1 or not len(frames):
        return tracks
    number = int(tracks.max()) + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        log_sizes = np.full(len(frames), np.nan) if sizes is None else np.log(sizes)
    log_sizes[~np.isfinite(log_sizes)] = np.nan
    kind = np.zeros(len(frames), np.int64) if kinds is None else kinds
    order = np.argsort(tracks, kind="stable")
    ends = _ends(order[::-1], frames, positions, log_sizes, kind, tracks, number)
    begins = _ends(order, frames, positions, log_sizes, kind, tracks, number)
    first, second, cost = _candidates(ends, begins, limits)
    pairs = _assigned(first, second, cost)
    return pd.factorize(_joined(pairs, number)[tracks])[0].astype(np.int64, copy=False)


def _ends(
    order: NDArray[np.intp],
    frames: NDArray[np.int64],
    positions: NDArray[np.float64],
    log_sizes: NDArray[np.float64],
    kinds: NDArray[np.int64],
    tracks: NDArray[np.int64],
    number: int,
) -> _Ends:
    """Describe the end of each track that comes first in `order`, which goes track by track."""
    own = tracks[order]
    start = np.flatnonzero(np.r_[True, own[1:] != own[:-1]])
    length = np.diff(np.r_[start, len(own)])
    near = np.arange(len(own)) - np.repeat(start, length) < END_SIGHTINGS
    rows, tracks_near = order[near], own[near]

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        known = np.isfinite(values[rows])
        total = np.bincount(tracks_near[known], values[rows][known], minlength=number)
        count = np.bincount(tracks_near[known], minlength=number)
        means: NDArray[np.float64] = np.full(number, np.nan)
        np.divide(total, count, out=means, where=count > 0)
        return means

    end = np.empty(number, np.intp)
    end[own[start]] = order[start]
    places = np.stack([mean(positions[:, 0]), mean(positions[:, 1])], axis=1)
    return _Ends(frames[end], places, mean(log_sizes), kinds[end])


def _candidates(
    ends: _Ends, begins: _Ends, limits: GapLimits
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return which tracks may go on in which others, and at what cost."""
    from scipy.spatial import cKDTree

    # Time as a third axis, in which the longest gap is as far as the range.
    pace = limits.range_px / (limits.max_gap + 1)
    space = [np.column_stack([e.places, pace * e.frames]) for e in (ends, begins)]
    near = cKDTree(space[0]).sparse_distance_matrix(
        cKDTree(space[1]), limits.range_px * (1 + 1e-9), p=np.inf, output_type="ndarray"
    )
    first, second = near["i"].astype(np.intp), near["j"].astype(np.intp)
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    waited = begins.frames[second] - ends.frames[first]
    distance = np.hypot(*(begins.places[second] - ends.places[first]).T) / limits.range_px
    ratio = np.abs(begins.log_sizes[second] - ends.log_sizes[first]) / np.log(limits.size_ratio)
    ratio = np.nan_to_num(ratio, nan=0.0)
    cost = distance**2 + ratio**2 + WAITING_COST * waited / (limits.max_gap + 1)
    fit = (waited >= 1) & (waited <= limits.max_gap + 1) & (distance <= 1) & (ratio <= 1)
    fit &= (ends.kinds[first] == begins.kinds[second]) & (cost < OPEN_COST + WAITING_COST)
    return first[fit], second[fit], cost[fit]


def _assigned(
    first: NDArray[np.intp], second: NDArray[np.intp], cost: NDArray[np.float64]
) -> list[tuple[int, int]]:
    """Return the pairs of least total cost, where an end may stay open."""
    if not len(first):
        return []
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    rows, ends = np.unique(first, return_inverse=True)
    columns, begins = np.unique(second, return_inverse=True)
    # A column of its own for each end, so that all can be matched; zeros would be no edges.
    own = np.arange(len(rows))
    data = np.r_[cost + 1e-9, np.full(len(rows), OPEN_COST + WAITING_COST)]
    where = (np.r_[ends, own], np.r_[begins, len(columns) + own])
    graph = csr_array((data, where), shape=(len(rows), len(columns) + len(rows)))
    matched, to = min_weight_full_bipartite_matching(graph)
    real = to < len(columns)
    return list(zip(rows[matched[real]].tolist(), columns[to[real]].tolist(), strict=True))


def _joined(pairs: list[tuple[int, int]], number: int) -> NDArray[np.int64]:
    """Return the first piece of the chain that each piece is in."""
    root = np.arange(number)
    # A piece begins after those that it goes on from, and so has a larger number.
    for before, after in sorted(pairs, key=lambda pair: pair[1]):
        root[after] = root[before]
    return root
