"""The tracker ``lines``: dislocations are the same where their curves lie near each other."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from defectscope import Options as BaseOptions
from defectscope import Tracker
from defectscope.core.errors import FormatError
from defectscope.core.frame_steps import in_steps
from defectscope.core.geometry.curves import normal_displacement, two_way_distance
from defectscope.core.geometry.polylines import polyline_resample
from defectscope.core.vertices import lines_by_detection
from defectscope.trackers.detection_columns import frame_column, position_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Lines", "LinesOptions"]

# Lines are compared at this many points each.
POINTS = 32


class LinesOptions(BaseOptions):
    """Options of the tracker ``lines``."""

    search_range_px: float = Field(
        10.0, gt=0, le=10_000,
        description="how far a line may move between two frames: mean distance of its curves, px",
    )  # fmt: skip
    memory: int = Field(
        2, ge=0, le=1000, description="frames that a line may be missing and still be the same"
    )
    min_length: int = Field(
        1, ge=1, description="frames that a line must be found in to be kept; 1 keeps all"
    )
    momentum: float = Field(
        0.7, ge=0, le=1,
        description="part of its last step that a line is expected to make again; 0: lines are "
        "looked for where they were",
    )  # fmt: skip


class _Track(NamedTuple):
    particle: int
    place: int
    curve: NDArray[np.float64]
    # How far it moved from one frame to the next, px.
    step: NDArray[np.float64]


class Lines(Tracker):
    """Link lines by the distance of their curves, all of a frame together at least cost.

    Centroids of long lines in a pile-up lie on each other when one end grows; their curves do not.
    The cost is the sum of squared mean distances, where a line that ends costs the squared search
    range. Lines of a pile-up glide together, often farther than half their distance: each is
    looked for where `momentum` of its last step would take it. A detection without a line counts as
    the point x, y. The same table gives the same particles at every run.
    """

    Options = LinesOptions
    options: LinesOptions
    needs_geometry = True

    def link(self, detections: pd.DataFrame, geometry: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the rows of particles that are long enough, with a column ``particle`` (int64).

        Parameters
        ----------
        detections
            At least ``frame``, ``x``, ``y`` (px), and ``detection`` where there is a geometry, in
            any order.
        geometry
            Vertices of the lines: ``frame``, ``detection``, ``vertex``, ``x``, ``y``.

        Raises
        ------
        FormatError
            A column is missing, or holds something else than it should.
        """
        frames = frame_column(detections)
        curves = _curves(detections, frames, position_columns(detections), geometry)
        particles = np.full(len(frames), -1, np.int64)
        active: list[_Track] = []
        following = 0
        order = np.argsort(frames, kind="stable")
        present, starts = np.unique(frames[order], return_index=True)
        bounds = pairwise([*starts.tolist(), len(order)])
        places = in_steps(present, self.frame_step)
        for (start, stop), place in zip(bounds, places.tolist(), strict=True):
            rows = order[start:stop]
            active = [t for t in active if place - t.place <= self.options.memory + 1]
            former = dict(self._matched(active, [curves[r] for r in rows], place))
            now = []
            for k, row in enumerate(rows.tolist()):
                known = active[former[k]] if k in former else None
                if known is None:
                    particles[row], following = following, following + 1
                    now.append(_Track(int(particles[row]), place, curves[row], np.zeros(2)))
                    continue
                particles[row] = known.particle
                step = _mean_step(known.curve, curves[row]) / (place - known.place)
                now.append(_Track(known.particle, place, curves[row], step))
            found = set(former.values())
            active = [t for k, t in enumerate(active) if k not in found] + now
        kept = np.bincount(particles, minlength=1)[particles] >= self.options.min_length
        # They were numbered by frame, then row; the table may be in another order.
        numbers = np.unique(particles[kept], return_inverse=True)[1].astype(np.int64)
        return detections.take(np.flatnonzero(kept)).assign(particle=numbers)

    def _matched(
        self, tracks: Sequence[_Track], curves: Sequence[NDArray[np.float64]], place: int
    ) -> list[tuple[int, int]]:
        """Return pairs of a curve and a track."""
        from scipy.optimize import linear_sum_assignment

        if not (tracks and len(curves)):
            return []
        limit = self.options.search_range_px
        momentum = self.options.momentum
        expected = [t.curve + momentum * (place - t.place) * t.step for t in tracks]
        # A pair that is too far apart costs more than both without a partner.
        cost = np.full((len(curves), len(tracks)), 4 * limit**2)
        for i, curve in enumerate(curves):
            for j, other in enumerate(expected):
                if _near(curve, other, limit):
                    apart = two_way_distance(curve, other, POINTS)
                    if apart <= limit:
                        cost[i, j] = apart**2
        # As many partners that stand for "none", at the cost of a line that ends.
        alone = np.full((len(curves), len(curves)), limit**2)
        rows, columns = linear_sum_assignment(np.concatenate([cost, alone], axis=1))
        return [
            (int(i), int(j))
            for i, j in zip(rows, columns, strict=True)
            if j < len(tracks) and cost[i, j] <= limit**2
        ]


def _mean_step(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vector by which a line moved to its side, px; that of its middle for points."""
    if min(len(before), len(after)) < 2:
        return np.asarray(after.mean(axis=0) - before.mean(axis=0))
    way = before[-1] - before[0]
    normal = np.array([-way[1], way[0]]) / max(float(np.hypot(*way)), 1e-9)
    return np.asarray(normal_displacement(before, after) * normal)


def _near(a: NDArray[np.float64], b: NDArray[np.float64], limit: float) -> bool:
    """Whether two lines may be within a mean distance, seen at once from their boxes."""
    gap = np.maximum(a.min(axis=0) - b.max(axis=0), b.min(axis=0) - a.max(axis=0))
    return bool((gap <= limit).all())


def _curves(
    detections: pd.DataFrame,
    frames: NDArray[np.int64],
    positions: NDArray[np.float64],
    geometry: pd.DataFrame | None,
) -> list[NDArray[np.float64]]:
    """Return the line of every row, or its position where it has none."""
    points = [position[None, ::-1] for position in positions]
    if geometry is None or geometry.empty:
        return points
    if "detection" not in detections.columns:
        raise FormatError(
            "linking lines needs the column 'detection', which says whose vertices are whose; the "
            f"table has: {', '.join(map(str, detections.columns))}"
        )
    known = lines_by_detection(geometry)
    keys = zip(frames.tolist(), detections["detection"].tolist(), strict=True)
    lines = [known.get((frame, int(detection))) for frame, detection in keys]
    return [
        point if line is None else polyline_resample(line, POINTS)
        for point, line in zip(points, lines, strict=True)
    ]
