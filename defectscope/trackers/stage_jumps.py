"""Jumps of the stage, told by the positions of all particles in two frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEAST_AGREEING", "jump_offsets"]

# A frame that has fewer links than this share of what it could have is suspicious.
FEW_LINKS = 0.5
# Particles that must agree about a jump: at least so many, and such a share of all.
LEAST_AGREEING, AGREEING_SHARE = 5, 0.4


def jump_offsets(
    frames: NDArray[np.int64],
    positions: NDArray[np.float64],
    tracks: NDArray[np.int64],
    search_range: float,
) -> NDArray[np.float64]:
    """Return how far all jumps up to the frame of each position have moved it, (n, 2) px.

    Between two frames that share few tracks, the displacement that most pairs of particles have in
    common is looked for; where enough agree, that is a jump.

    Parameters
    ----------
    frames
        (n,) frame indices in ascending order.
    positions
        (n, 2) positions, px.
    tracks
        (n,) the track of each position, from a linking that knew of no jumps.
    search_range
        What particles move by themselves, px.
    """
    present, start = np.unique(frames, return_index=True)
    stop = np.r_[start[1:], len(frames)]
    steps = np.zeros((len(present), 2))
    for k in range(1, len(present)):
        before, after = slice(start[k - 1], stop[k - 1]), slice(start[k], stop[k])
        least = min(stop[k - 1] - start[k - 1], stop[k] - start[k])
        if least < LEAST_AGREEING:
            continue
        shared = len(np.intersect1d(tracks[before], tracks[after], assume_unique=True))
        if shared < FEW_LINKS * least:
            steps[k] = _common_step(positions[before], positions[after], search_range, int(least))
    moved: NDArray[np.float64] = np.repeat(np.cumsum(steps, axis=0), stop - start, axis=0)
    return moved


def _common_step(
    before: NDArray[np.float64], after: NDArray[np.float64], search_range: float, least: int
) -> NDArray[np.float64]:
    pairs = (after[None] - before[:, None]).reshape(-1, 2)
    # The cell and its neighbours: the step may lie at a border.
    middle = (_fullest_cell(pairs, search_range) + 0.5) * search_range
    for _ in range(3):
        near = pairs[np.hypot(*(pairs - middle).T) < search_range]
        middle = np.asarray(np.median(near, axis=0), np.float64)
    agreeing = int((np.hypot(*(pairs - middle).T) < search_range).sum())
    # So many would do so by chance, were all pairs spread evenly over what the frame holds.
    extent = np.maximum(np.ptp(pairs, axis=0), search_range).prod()
    chance = len(pairs) * np.pi * search_range**2 / extent
    needed = max(LEAST_AGREEING, AGREEING_SHARE * least, 2 * chance)
    return middle if agreeing >= needed else np.zeros(2)


def _fullest_cell(pairs: NDArray[np.float64], side: float) -> NDArray[np.float64]:
    """Return the cell that most pairs are in; of several, the first by row and column."""
    cell = np.floor(pairs / side).astype(np.int64)
    low = cell.min(axis=0)
    columns = int(np.ptp(cell[:, 1])) + 1
    # In the same order as the cells, and sorted far faster than rows of two numbers.
    key = (cell[:, 0] - low[0]) * columns + (cell[:, 1] - low[1])
    keys, count = np.unique(key, return_counts=True)
    return np.asarray(low + np.divmod(keys[np.argmax(count)], columns), np.float64)
