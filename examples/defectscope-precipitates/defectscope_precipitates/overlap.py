"""Tracker of what grows and dissolves but does not move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import defectscope as ds
import numpy as np
from pydantic import Field

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["OverlapOptions", "OverlapTracker"]

CORNERS = ["x_min", "y_min", "x_max", "y_max"]


class OverlapOptions(ds.Options):
    """Options of ``overlap``."""

    least_overlap: float = Field(
        0.2, gt=0, le=1, description="least part of the smaller box that the other covers"
    )
    memory: int = Field(
        2, ge=0, le=1000, description="frames that a particle may be missing and still be the same"
    )
    side_px: float = Field(
        10.0, gt=0, le=10_000, description="side of a particle in tables without boxes, px"
    )


class OverlapTracker(ds.Tracker):
    """Links each box to the one it overlaps most among those last seen, the best pairs first."""

    Options = OverlapOptions
    options: OverlapOptions

    def link(self, detections: pd.DataFrame, geometry: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the rows with an integer column ``particle`` added."""
        frames = detections["frame"].to_numpy()
        boxes = self._boxes(detections)
        particles = np.full(len(detections), -1, np.int64)
        # Where each particle that may still come back was seen last: its row.
        seen: dict[int, int] = {}
        count = 0
        for frame in np.unique(frames):
            # Neighbours are `frame_step` indices apart where only some frames were looked at.
            oldest = frame - self.frame_step * (1 + self.options.memory)
            seen = {p: row for p, row in seen.items() if frames[row] >= oldest}
            rows, known = np.flatnonzero(frames == frame), list(seen)
            for old, new in self._pairs(boxes[list(seen.values())], boxes[rows]):
                particles[rows[new]] = known[old]
            for row in rows.tolist():
                if particles[row] < 0:
                    particles[row], count = count, count + 1
                seen[int(particles[row])] = row
        return detections.assign(particle=particles)

    def _boxes(self, detections: pd.DataFrame) -> NDArray[Any]:
        if set(CORNERS) <= set(detections.columns):
            return detections[CORNERS].to_numpy(float)
        centres = detections[["x", "y"]].to_numpy(float)
        half = self.options.side_px / 2
        return np.concatenate([centres - half, centres + half], axis=1)

    def _pairs(self, old: NDArray[Any], new: NDArray[Any]) -> list[tuple[int, int]]:
        if not len(old):
            return []
        overlaps = _overlaps(old, new)
        pairs: list[tuple[int, int]] = []
        taken_old, taken_new = set[int](), set[int]()
        # Stable, so that the same table always gives the same particles.
        for position in np.argsort(-overlaps, axis=None, kind="stable").tolist():
            a, b = divmod(position, len(new))
            if overlaps[a, b] < self.options.least_overlap:
                break
            if a not in taken_old and b not in taken_new:
                pairs.append((a, b))
                taken_old.add(a)
                taken_new.add(b)
        return pairs


def _overlaps(old: NDArray[Any], new: NDArray[Any]) -> NDArray[np.float64]:
    """Return the (n, m) common areas, as fractions of the smaller box."""
    low = np.maximum(old[:, None, :2], new[None, :, :2])
    high = np.minimum(old[:, None, 2:], new[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (old, new)]
    smaller = np.minimum(areas[0][:, None], areas[1][None])
    return np.asarray(common / np.maximum(smaller, 1e-12), np.float64)
