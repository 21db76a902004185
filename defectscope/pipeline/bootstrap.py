"""How sure a score is: percentile bootstrap over frames, or over whole sequences of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.metrics import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "PERCENTILES",
    "RESAMPLES",
    "SCORE_NAMES",
    "SEED",
    "bootstrap_limits",
    "resampled_frames",
    "whole_sequences",
]

SCORE_NAMES = ("precision", "recall", "f1")
RESAMPLES, SEED = 1000, 0
# Of the resampled scores: 95 % lie between.
PERCENTILES = (2.5, 97.5)


def whole_sequences(sequences: Sequence[int]) -> bool:
    """Whether frames are of several sequences of more than one frame each."""
    lengths = np.unique(np.asarray(sequences, np.int64), return_counts=True)[1]
    return len(lengths) > 1 and bool((lengths > 1).all())


def resampled_frames(
    count: int,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    sequences: Sequence[int] | None = None,
) -> NDArray[np.int64] | None:
    """Return (resamples, count): how often each frame is in each resample; None for one frame.

    The same count gives the same resamples, so that every detector is judged on the same ones.

    Parameters
    ----------
    count
        Number of frames.
    resamples, seed
        How many are drawn, and from which seed.
    sequences
        (count,) which sequence each frame is of. Frames of one show the same defects: where there
        are :func:`whole_sequences`, these are drawn, and not their frames.
    """
    if count < 2:
        return None
    member = np.arange(count)
    if sequences is not None and whole_sequences(sequences):
        member = np.unique(np.asarray(sequences, np.int64), return_inverse=True)[1]
    groups = int(member.max()) + 1
    drawn = np.random.default_rng(seed).integers(0, groups, (resamples, groups))
    times = np.zeros((resamples, groups), np.int64)
    np.add.at(times, (np.arange(resamples)[:, None], drawn), 1)
    return times[:, member]


def bootstrap_limits(
    counts: NDArray[np.int64], frames: NDArray[np.int64] | None
) -> dict[str, tuple[float, float] | None]:
    """Return the 95 % limits of precision, recall and F1 (percentile bootstrap).

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
