"""Frame indices of a series of which not every frame was looked at, counted in its steps.

Under ``--frames A:B:S``, and where a folder holds every S-th frame, indices are S apart. A tracker
whose memory is a number of frames means those that were looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["common_step", "in_steps", "steps_between", "typical_step"]


def typical_step(frames: ArrayLike) -> int:
    """Return how far apart the indices of successive frames usually are; 1 for a single frame.

    The median, of an even number the lower middle one: holes in a series do not change it.
    """
    apart = np.sort(np.diff(np.unique(np.asarray(frames, np.int64))))
    return int(apart[(len(apart) - 1) // 2]) if len(apart) else 1


def common_step(frames: ArrayLike) -> int:
    """Return the largest step that all indices are whole multiples of apart; 1 for one frame.

    For tables of detections, which lack the frames in which nothing was found.
    """
    apart = np.diff(np.unique(np.asarray(frames, np.int64)))
    return int(np.gcd.reduce(apart)) if len(apart) else 1


def steps_between(apart: int, step: int) -> int:
    """Return how many steps a difference of two indices is, at least 1 where they differ."""
    return max((2 * apart + step) // (2 * step), 1) if apart else 0


def in_steps(frames: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """Return the places of frames in their series.

    Parameters
    ----------
    frames
        (n,) frame indices in ascending order.
    step
        Difference of the indices of two successive frames.

    Returns
    -------
    ndarray
        (n,) ascending; those of two frames differ by the number of steps between them, rounded,
        and by at least 1. With a step of 1 they are the indices.
    """
    if step == 1 or not len(frames):
        return frames
    apart = np.diff(frames)
    counts = np.where(apart > 0, np.maximum((2 * apart + step) // (2 * step), 1), 0)
    return np.cumsum(np.r_[0, counts]).astype(np.int64, copy=False)
