"""What the network of ``line-tracer`` is to answer for known lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.geometry.polylines import polyline_length, polyline_resample
from defectscope.detectors.line_tracer.lattice import STRIDE, bin_normals

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LineTargets", "line_targets"]

# Cells whose centre lies this near to a line hold it; from there to `REACH_PX` less and less.
HELD_PX = 1.0
REACH_PX = 2.0
# Points of a line lie at most this far apart; a cell belongs to the nearest.
STEP_PX = 0.75
# Standard deviation of the spot that marks the end of a line, px.
END_PX = 2.0
# Lines that come this near to the frame's rim were cut there, and do not end.
RIM_PX = 1.5


class LineTargets(NamedTuple):
    """Wanted outputs on the grid of cells.

    Parameters
    ----------
    presence
        (bins, h, w) part of a line of this orientation in a cell, 0 to 1; a line whose
        orientation lies between two bins is shared by both.
    offsets
        (bins, h, w) distance from the centre of the cell to the line along the bin's normal, px.
    ends
        (1, h, w) closeness to the end of a line.
    counted
        (1, h, w) 1 where presence counts, 0 on ignored lines and where nothing is known.
    """

    presence: NDArray[np.float32]
    offsets: NDArray[np.float32]
    ends: NDArray[np.float32]
    counted: NDArray[np.float32]


def line_targets(
    lines: Sequence[NDArray[np.float64]],
    shape: tuple[int, int],
    bins: int,
    ignored: Sequence[NDArray[np.float64]] = (),
    rim: tuple[float, float, float, float] | None = None,
    unknown: NDArray[np.bool_] | None = None,
) -> LineTargets:
    """Return the targets of one crop.

    Parameters
    ----------
    lines
        (k, 2) points x, y in px of the crop; what lies outside is left out.
    shape
        (height, width) of the crop, multiples of `STRIDE`.
    bins
        Number of orientations.
    ignored
        Lines on which nothing is learned.
    rim
        x_min, y_min, x_max, y_max of the whole frame in px of the crop, at which lines are cut;
        the crop itself by default.
    unknown
        (height, width), True where nothing but known lines is learned.
    """
    h, w = shape[0] // STRIDE, shape[1] // STRIDE
    presence, offsets = _drawn(lines, (h, w), bins)
    counted = np.ones((1, h, w), np.float32)
    if ignored:
        counted[0][_drawn(ignored, (h, w), bins)[0].max(axis=0) > 0] = 0
    if unknown is not None:
        cells = unknown.reshape(h, STRIDE, w, STRIDE).any(axis=(1, 3))
        counted[0][cells & (presence.max(axis=0) == 0)] = 0
    frame = (0.0, 0.0, float(shape[1]), float(shape[0])) if rim is None else rim
    return LineTargets(presence, offsets, _ends(lines, (h, w), frame)[None], counted)


def _drawn(
    lines: Sequence[NDArray[np.float64]], grid: tuple[int, int], bins: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    h, w = grid
    presence = np.zeros((bins, h, w), np.float32)
    offsets = np.zeros((bins, h, w), np.float32)
    points, tangents, steps = _sampled(lines)
    if not len(points):
        return presence, offsets
    cells = np.floor(points / STRIDE).astype(np.intp)
    neighbours = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)
    columns, rows = (cells[:, None] + neighbours).reshape(-1, 2).T
    source = np.repeat(np.arange(len(points)), len(neighbours))
    x = points[source, 0] - (columns + 0.5) * STRIDE
    y = points[source, 1] - (rows + 0.5) * STRIDE
    tx, ty = tangents[source].T
    along, across = x * tx + y * ty, y * tx - x * ty
    near = (np.abs(along) <= 0.5 * steps[source] + 1e-6) & (np.abs(across) < REACH_PX)
    near &= (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    # The nearest line of a cell is written last, and stays.
    chosen = np.flatnonzero(near)
    chosen = chosen[np.argsort(-np.abs(across[chosen]), kind="stable")]
    rows, columns, across, source = rows[chosen], columns[chosen], across[chosen], source[chosen]

    held = np.clip((REACH_PX - np.abs(across)) / (REACH_PX - HELD_PX), 0, 1)
    angle = np.arctan2(tangents[source, 1], tangents[source, 0])
    place = (angle % np.pi) * bins / np.pi
    low = np.floor(place).astype(np.intp)
    part = place - low
    normals = bin_normals(bins)
    # The normal to which `across` refers.
    normal = np.stack([-tangents[source, 1], tangents[source, 0]], axis=1)
    for bin_, share in ((low % bins, 1 - part), ((low + 1) % bins, part)):
        sign = np.where((normal * normals[bin_]).sum(axis=1) < 0, -1.0, 1.0)
        there = (bin_, rows, columns)
        np.maximum.at(presence, there, (held * share).astype(np.float32))
        offsets[there] = sign * across
    return presence, offsets


def _sampled(
    lines: Sequence[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (n, 2) points and unit tangents of all lines, and (n,) their distances."""
    points, tangents, steps = [np.zeros((0, 2))], [np.zeros((0, 2))], [np.zeros(0)]
    for line in lines:
        length = polyline_length(line)
        if length <= 0:
            continue
        count = max(2, int(np.ceil(length / STEP_PX)) + 1)
        sampled = polyline_resample(line, count)
        tangent = np.gradient(sampled, axis=0)
        tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
        points.append(sampled)
        tangents.append(tangent)
        # A little more than half a step to either side, for lines bend.
        steps.append(np.full(count, 1.3 * length / (count - 1)))
    return np.concatenate(points), np.concatenate(tangents), np.concatenate(steps)


def _ends(
    lines: Sequence[NDArray[np.float64]],
    grid: tuple[int, int],
    rim: tuple[float, float, float, float],
) -> NDArray[np.float32]:
    h, w = grid
    ends = np.zeros((h, w), np.float32)
    low, high = np.array(rim[:2]) + RIM_PX, np.array(rim[2:]) - RIM_PX
    reach = int(np.ceil(3 * END_PX / STRIDE))
    for line in lines:
        if len(line) < 2:
            continue
        for point in (line[0], line[-1]):
            if (point < low).any() or (point > high).any():
                continue
            column, row = (int(v) for v in np.floor(point / STRIDE))
            rows = np.arange(max(row - reach, 0), min(row + reach + 1, h))
            columns = np.arange(max(column - reach, 0), min(column + reach + 1, w))
            if not (len(rows) and len(columns)):
                continue
            dy, dx = (rows + 0.5) * STRIDE - point[1], (columns + 0.5) * STRIDE - point[0]
            spot = np.exp(-(dy[:, None] ** 2 + dx[None, :] ** 2) / (2 * END_PX**2))
            place = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            np.maximum(ends[place], spot, out=ends[place], casting="same_kind")
    return ends
