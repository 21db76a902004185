"""Paint lines with soft, sub-pixel edges, and tell what was painted."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from defectscope import Mask
from defectscope.core.geometry.polylines import polyline_length
from defectscope.generators.line_contrast import LineStyle, cross_section, smooth_noise
from defectscope.generators.line_paths import pieces_inside, unit_tangents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["PaintedPiece", "paint_lines"]

# Points of lines painted at once: enough to hide numpy's overhead, few enough for the arrays of
# their pixels to stay in the processor's cache.
BATCH_POINTS = 500
# The grain in lines repeats after this many pixels, which nobody sees on a line.
GRAIN_PX = 96
# Widths and strengths along a line stay within these factors of the line's own.
WIDTH_FACTORS = (0.5, 1.6)
LEVEL_FACTORS = (0.3, 1.9)
# Beyond this many half widths (of the widest place) nothing of a profile is left to see.
REACH_IN_HALF_WIDTHS = 2.6
REACH_OF_DOUBLE = 2.0


@dataclass(frozen=True)
class PaintedPiece:
    """A part of a line inside the frame.

    Parameters
    ----------
    line
        Position of the line among those painted.
    points
        (k, 2) centre line x, y, px, at most 1 px apart.
    mask
        Pixels whose centre lies within half the drawn width of the centre line.
    length_px, width_px
        Length, and mean drawn width.
    grey
        Mean peak contrast, grey 0 to 1, after the canvas was cut to [0, 1].
    """

    line: int
    points: NDArray[np.float64]
    mask: Mask
    length_px: float
    width_px: float
    grey: float


@dataclass(frozen=True)
class _Course:
    """The points of some lines one after the other; arrays of length k, or n + 1 (`first`)."""

    first: NDArray[np.intp]
    line: NDArray[np.intp]
    points: NDArray[np.float64]
    tangents: NDArray[np.float64]
    bend: NDArray[np.float64]
    width: NDArray[np.float64]
    level: NDArray[np.float64]
    shift: NDArray[np.float64]
    slope: NDArray[np.float64]
    step: NDArray[np.float64]

    def columns(self) -> NDArray[np.float64]:
        """Return the (9, k) x, y, tangent x, y, bend, width, level, shift and slope."""
        columns = [self.bend, self.width, self.level, self.shift, self.slope]
        return np.stack([*self.points.T, *self.tangents.T, *columns])

    def centres(self) -> NDArray[np.float64]:
        """Return the (k, 2) points of the centre line, small bends included."""
        normals = np.stack([-self.tangents[:, 1], self.tangents[:, 0]], axis=1)
        return np.asarray(self.points + self.shift[:, None] * normals)


@dataclass(frozen=True)
class _Band:
    """The pixels near lines; arrays of length p."""

    pixel: NDArray[np.intp]
    line: NDArray[np.intp]
    place: NDArray[np.float64]
    across: NDArray[np.float64]
    beyond: NDArray[np.float64]
    width: NDArray[np.float64]
    level: NDArray[np.float64]
    along: NDArray[np.float64]


def paint_lines(
    canvas: NDArray[np.float32],
    paths: Sequence[NDArray[np.float64]],
    styles: Sequence[LineStyle],
    grey: Sequence[float],
    rng: np.random.Generator,
    levels: Sequence[NDArray[np.float64] | None] | None = None,
) -> list[PaintedPiece]:
    """Paint lines onto a canvas in place.

    Parameters
    ----------
    canvas
        (H, W) float32 in [0, 1].
    paths
        (k, 2) equally spaced points x, y of each line, about 1 px apart.
    styles
        How each is drawn.
    grey
        Grey of one unit of ``strength``, by line.
    levels
        (k,) strength at each point / its mean, by line; None where it varies at random, as the
        style has it.

    Returns
    -------
    Every part of a line inside the frame. A line that leaves the frame and comes back gives
    several.
    """
    pieces = []
    batches = np.cumsum([0, *(len(path) for path in paths)]) // BATCH_POINTS
    borders = np.flatnonzero(np.diff(batches[:-1], prepend=-1)).tolist()
    for start, stop in itertools.pairwise([*borders, len(paths)]):
        part = slice(start, stop)
        strength = np.array([g * s.strength for g, s in zip(grey[part], styles[part], strict=True)])
        given = [None] * (stop - start) if levels is None else levels[part]
        pieces += _paint(canvas, paths[part], styles[part], strength, given, start, rng)
    return pieces


def _paint(
    canvas: NDArray[np.float32],
    paths: Sequence[NDArray[np.float64]],
    styles: Sequence[LineStyle],
    strength: NDArray[np.float64],
    levels: Sequence[NDArray[np.float64] | None],
    number: int,
    rng: np.random.Generator,
) -> list[PaintedPiece]:
    shape = canvas.shape[0], canvas.shape[1]
    course = _course(paths, styles, levels, rng)
    band = _band(course, styles, shape)
    grey = strength[band.line] * band.level * cross_section(
        styles, band.line, band.across, band.beyond, band.along, band.width
    )  # fmt: skip
    rough = np.array([style.roughness for style in styles])
    if rough.any():
        grey *= 1 + rough[band.line] * _grain(band.pixel, styles, shape[1], rng)

    flat = canvas.reshape(-1)
    before = flat[band.pixel]
    painted = np.abs(np.clip(before + grey, 0, 1) - before)
    wanted, found = (np.bincount(band.line, w, len(paths)) for w in (np.abs(grey), painted))
    kept = np.divide(found, wanted, out=np.ones(len(paths)), where=wanted > 0)
    np.add.at(flat, band.pixel, grey.astype(np.float32))
    flat[band.pixel] = np.clip(flat[band.pixel], 0, 1)
    return _pieces(course, band, strength * kept, shape, number)


def _grain(
    pixel: NDArray[np.intp], styles: Sequence[LineStyle], width: int, rng: np.random.Generator
) -> NDArray[np.floating]:
    """Return noise of unit variance at pixels of a frame, as coarse as the coarsest style."""
    size = max(style.roughness_px for style in styles)
    if not size:
        return rng.standard_normal(len(pixel), dtype=np.float32)
    reach = int(np.ceil(3 * size))
    noise = np.pad(rng.standard_normal((GRAIN_PX, GRAIN_PX)), reach, mode="wrap")
    tile = np.asarray(cv2.GaussianBlur(noise, (2 * reach + 1, 2 * reach + 1), size), np.float64)
    tile = tile[reach:-reach, reach:-reach]
    rows, columns = np.divmod(pixel, width)
    tile = tile / tile.std()
    return np.asarray(tile[rows % GRAIN_PX, columns % GRAIN_PX])


def _course(
    paths: Sequence[NDArray[np.float64]],
    styles: Sequence[LineStyle],
    levels: Sequence[NDArray[np.float64] | None],
    rng: np.random.Generator,
) -> _Course:
    first = np.concatenate([[0], np.cumsum([len(path) for path in paths])])
    line = np.repeat(np.arange(len(paths)), np.diff(first))
    step = np.array([np.hypot(*(path[1] - path[0])) for path in paths])
    along = (np.arange(first[-1]) - first[line]) * step[line]
    variation = np.array([style.variation for style in styles])[line]
    variation_px = np.array([style.variation_px for style in styles])
    waviness = np.array([style.waviness_px for style in styles])[line]
    width = np.array([style.width_px for style in styles])[line]
    noise = smooth_noise(along, line, variation_px, rng, 2)
    bends = np.array([style.waviness_length_px for style in styles])
    shift = waviness * smooth_noise(along, line, bends, rng)[0]
    tangents = np.concatenate([unit_tangents(path) for path in paths])
    slope, bend = np.zeros(len(line)), np.zeros(len(line))
    slope[1:-1] = (shift[2:] - shift[:-2]) / 2
    turn = (tangents[2:] - tangents[:-2]) / 2
    bend[1:-1] = tangents[1:-1, 0] * turn[:, 1] - tangents[1:-1, 1] * turn[:, 0]
    for change in (slope, bend):
        change /= step[line]
        # Across the border of two lines a difference means nothing.
        change[first[:-1]] = change[first[1:] - 1] = 0
    level = np.clip(1 + variation * noise[1], *LEVEL_FACTORS)
    for k, values in enumerate(levels):
        if values is not None:
            level[first[k] : first[k + 1]] = values
    # The mean along a line is the strength asked for, whatever its noise.
    level /= (np.add.reduceat(level, first[:-1]) / np.diff(first))[line]
    return _Course(
        first,
        line,
        np.concatenate(paths),
        tangents,
        bend,
        width * np.clip(1 + variation / 2 * noise[0], *WIDTH_FACTORS),
        level,
        shift,
        slope,
        step,
    )


def _band(course: _Course, styles: Sequence[LineStyle], shape: tuple[int, int]) -> _Band:
    found = []
    for k, style in enumerate(styles):
        own = slice(course.first[k], course.first[k + 1])
        half_widths = REACH_OF_DOUBLE if style.contrast == "double" else REACH_IN_HALF_WIDTHS
        reach = half_widths * course.width[own].max() / 2
        reach += np.abs(course.shift[own]).max()
        pixel, sample = _nearest_points(course.points[own], reach, shape)
        found.append((pixel, sample + course.first[k]))
    pixel, sample = (np.concatenate(parts) for parts in zip(*found, strict=True))
    rows, columns = np.divmod(pixel, shape[1])
    x, y, tx, ty, bend, width, level, shift, slope = np.take(course.columns(), sample, axis=1)
    x, y = columns + 0.5 - x, rows + 0.5 - y
    # Ahead of the nearest point and to its side; then as on the circle through the line there.
    ahead, side = x * tx + y * ty, y * tx - x * ty
    across = side - 0.5 * bend * ahead**2 / np.maximum(1 - bend * side, 0.5)
    across = (across - shift - slope * ahead) / np.sqrt(1 + slope * slope)

    line = course.line[sample]
    foot = sample + ahead / course.step[line]
    place = np.clip(foot, course.first[line], course.first[line + 1] - 1)
    step = course.step[line]
    along = (place - course.first[line]) * step
    return _Band(pixel, line, place, across, np.abs(foot - place) * step, width, level, along)


def _nearest_points(
    points: NDArray[np.float64], reach: float, shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pixels of a frame within `reach` of a path, and the nearest point of each.

    The nearest point is found on the grid, so that it may be off by a point or two.
    """
    pad = int(np.ceil(reach)) + 2
    height, width = shape
    low, high = np.floor(points.min(axis=0)), np.floor(points.max(axis=0))
    # Points outside the frame matter to the pixels at its rim as far as the line reaches.
    x0, y0 = np.maximum(low - pad, -pad).astype(int).tolist()
    x1, y1 = np.minimum(high + pad + 1, [width + pad, height + pad]).astype(int).tolist()
    columns, rows = (np.floor(points).astype(np.intp) - [x0, y0]).T
    here = np.flatnonzero((columns >= 0) & (rows >= 0) & (columns < x1 - x0) & (rows < y1 - y0))
    if not len(here):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    columns, rows = columns[here], rows[here]
    free = np.ones((y1 - y0, x1 - x0), np.uint8)
    free[rows, columns] = 0
    distance, label = cv2.distanceTransformWithLabels(
        free, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Labels count the pixels that points lie in.
    point_of = np.zeros(len(here) + 1, np.intp)
    point_of[label[rows, columns]] = here
    # A little more, for distances are from the centres of the pixels that the points lie in.
    near = np.flatnonzero(distance <= reach + 0.7)
    near_rows, near_columns = np.divmod(near, x1 - x0)
    near_rows += y0
    near_columns += x0
    sample = np.take(point_of, np.take(label, near))
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        in_width = (near_columns >= 0) & (near_columns < width)
        inside = np.flatnonzero(in_width & (near_rows >= 0) & (near_rows < height))
        near_rows, near_columns, sample = near_rows[inside], near_columns[inside], sample[inside]
    return near_rows * width + near_columns, sample


def _pieces(
    course: _Course,
    band: _Band,
    grey: NDArray[np.float64],
    shape: tuple[int, int],
    number: int,
) -> list[PaintedPiece]:
    centres = course.centres()
    near = np.flatnonzero(band.across**2 + band.beyond**2 <= (band.width / 2) ** 2)
    bounds = np.searchsorted(band.line[near], np.arange(len(course.first)))
    pieces = []
    for k in range(len(course.first) - 1):
        first, stop = course.first[k], course.first[k + 1]
        own = near[bounds[k] : bounds[k + 1]]
        for start, end, points in pieces_inside(centres[first:stop], shape):
            samples = slice(first + int(np.ceil(start)), first + int(end) + 1)
            width = float(course.width[samples].mean())
            level = float(course.level[samples].mean())
            # Nothing of another piece of the line, but all within half a width of the ends.
            cap = width / 2 / course.step[k]
            place = band.place[own] - first
            pixel = band.pixel[own[(place >= start - cap) & (place <= end + cap)]]
            pieces.append(
                PaintedPiece(
                    number + k,
                    points,
                    _mask(pixel, shape[1]),
                    polyline_length(points),
                    width,
                    float(grey[k]) * level,
                )
            )
    return pieces


def _mask(pixel: NDArray[np.intp], width: int) -> Mask:
    if not len(pixel):
        return Mask(0, 0, np.zeros((0, 0), bool))
    rows, columns = np.divmod(pixel, width)
    y, x = int(rows.min()), int(columns.min())
    bitmap = np.zeros((int(rows.max()) - y + 1, int(columns.max()) - x + 1), bool)
    bitmap[rows - y, columns - x] = True
    return Mask(x, y, bitmap)
