"""How sure a score is: percentile bootstrap over frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.metrics import Counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "PERCENTILES",
    "RESAMPLES",
    "SCORE_NAMES",
    "SEED",
    "bootstrap_limits",
    "resampled_frames",
]

SCORE_NAMES = ("precision", "recall", "f1")
RESAMPLES, SEED = 1000, 0
# Of the resampled scores: 95 % lie between.
PERCENTILES = (2.5, 97.5)


def resampled_frames(
    count: int, resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.int64] | None:
    """Return (resamples, count): how often each frame is in each resample; None for one frame.

    The same count gives the same resamples, so that every detector is judged on the same ones.
    """
    if count < 2:
        return None
    drawn = np.random.default_rng(seed).integers(0, count, (resamples, count))
    times = np.zeros((resamples, count), np.int64)
    np.add.at(times, (np.arange(resamples)[:, None], drawn), 1)
    return times


def bootstrap_limits(
    counts: NDArray[np.int64], frames: NDArray[np.int64] | None
) -> dict[str, tuple[float, float] | None]:
    """Return the 95 % limits of precision, recall and F1 (percentile bootstrap over frames).

    Parameters
    ----------
    counts
        (frames, 3) hits, false alarms and misses.
    frames
        From :func:`resampled_frames`.

    Returns
    -------
    dict
        (low, high) by name of the score; None where no resample has it.
    """
    if frames is None:
        return dict.fromkeys(SCORE_NAMES)
    sums = [Counts(*row) for row in (frames @ counts).tolist()]
    limits: dict[str, tuple[float, float] | None] = {}
    for name in SCORE_NAMES:
        known = [value for value in (getattr(total, name) for total in sums) if value is not None]
        limits[name] = None
        if known:
            low, high = np.percentile(known, PERCENTILES)
            limits[name] = (float(low), float(high))
    return limits
