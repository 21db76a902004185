"""Common movement of all particles: drift of the sample or of the stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["estimate_drift"]


def estimate_drift(
    frames: NDArray[np.int64],
    positions: NDArray[np.float64],
    tracks: NDArray[np.int64],
    smoothing: int = 0,
    least: int = 1,
) -> NDArray[np.float64]:
    """Return how far the frame of each position has drifted since the first frame.

    The drift between two frames is the mean displacement of the particles found in both, as in
    trackpy's ``compute_drift``; but there a gap between frames counts as no drift, and a
    frame without drift of its own as back where it began. Here frames on both sides of a gap are
    neighbours. A frame that shares fewer than `least` particles with its neighbour is taken not to
    have moved against it, or, with `smoothing`, to have moved on as those before it did: a stage
    that drifts does not stop where nothing shows it. Movement that all particles really share is
    drift, too: of n that move independently 1/n of the mean square displacement is taken for it,
    and of a single one all.

    Parameters
    ----------
    frames
        (n,) frame indices in ascending order.
    positions
        (n, 2) positions in px.
    tracks
        (n,) the track of each position.
    smoothing
        The drift from one frame to the next is averaged over so many frames, up to and including
        its own, as far as it is known; where none of them is, it is 0. 0 and 1 leave it as it is.
    least
        Particles that two frames must share to show a drift.

    Returns
    -------
    ndarray
        (n, 2) drift in px, in the order of `positions`.
    """
    present, rank = np.unique(frames, return_inverse=True)
    order = np.lexsort((rank, tracks))
    displacement = np.diff(positions[order], axis=0)
    into = rank[order][1:]
    both = (np.diff(tracks[order]) == 0) & (np.diff(rank[order]) == 1)
    count = np.bincount(into[both], minlength=len(present))
    steps = np.full((len(present), 2), np.nan)
    for axis in (0, 1):
        total = np.bincount(into[both], displacement[both, axis], minlength=len(present))
        np.divide(total, count, out=steps[:, axis], where=count >= least)
    if smoothing > 1:
        steps = pd.DataFrame(steps).rolling(smoothing, min_periods=1).mean().to_numpy()
    by_row: NDArray[np.float64] = np.cumsum(np.nan_to_num(steps), axis=0)[rank]
    return by_row
