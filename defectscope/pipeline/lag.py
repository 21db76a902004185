"""How far the tables of a watch are behind its folder."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Lag", "lag_summary"]


@dataclass(frozen=True)
class Lag:
    """How far the tables are behind the folder.

    Parameters
    ----------
    done
        Frames in the tables.
    waiting
        Frames in the folder that are not.
    seconds
        From the appearance of a frame to its rows in the tables, of the latest one; or how long
        the first of those that wait has waited, where that is longer.
    frames_per_s
        Since the watch began, or the last time that it was said.
    held
        Frames, among those that wait, that were looked at and wait for the vote of later ones.
    """

    done: int
    waiting: int
    seconds: float
    frames_per_s: float
    held: int = 0

    def __str__(self) -> str:
        held = f" ({self.held} of them for the vote)" if self.held else ""
        return (
            f"{self.done} frames done, {self.waiting} waiting{held}, lag {self.seconds:.1f} s, "
            f"{self.frames_per_s:.1f} frames/s"
        )


def lag_summary(lags_s: Sequence[float]) -> dict[str, float]:
    """Return median, 95th percentile and largest of at least one lag, s."""
    ordered = sorted(lags_s)
    return {
        "median": round(statistics.median(ordered), 3),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
        "largest": round(ordered[-1], 3),
    }
