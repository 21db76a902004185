"""Paint lines with soft, sub-pixel edges, and tell what was painted."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from defectscope import Mask
from defectscope.core.geometry.polylines import polyline_length
from defectscope.generators.line_bands import Band, band_around
from defectscope.generators.line_contrast import LineStyle, cross_section
from defectscope.generators.line_courses import Course, lay_out
from defectscope.generators.line_paths import pieces_inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["PaintedPiece", "paint_lines"]

# Points of lines painted at once: enough to hide numpy's overhead, few enough for the arrays of
# their pixels to stay in the processor's cache.
BATCH_POINTS = 700
# The grain in lines repeats after this many pixels (a power of two), which nobody sees on a line.
GRAIN_PX = 128
# ... from another row for each line.
GRAIN_SHIFT_PX = 37


@dataclass(frozen=True)
class PaintedPiece:
    """A part of a line inside the frame.

    Parameters
    ----------
    line
        Position of the line among those painted.
    points
        (k, 2) centre line x, y, px, about 1 px apart.
    mask
        Pixels whose centre lies within half the drawn width of the centre line.
    length_px, width_px
        Length, and mean drawn width.
    grey
        Mean peak contrast, grey 0 to 1, after the canvas was cut to [0, 1].
    opacity
        Part of the texture that the line hides.
    """

    line: int
    points: NDArray[np.float64]
    mask: Mask
    length_px: float
    width_px: float
    grey: float
    opacity: float


def paint_lines(
    canvas: NDArray[np.float32],
    paths: Sequence[NDArray[np.float64]],
    styles: Sequence[LineStyle],
    grey: Sequence[float],
    rng: np.random.Generator,
    levels: Sequence[NDArray[np.float64] | None] | None = None,
    own: Sequence[np.random.Generator] | None = None,
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
    own
        Source of what varies along each line, so that lines which move and grow look the same in
        every frame; left out: `rng`, the source of the grain.

    Returns
    -------
    Every part of a line inside the frame. A line that leaves the frame and comes back gives
    several.
    """
    if not len(paths):
        return []
    levels = [None] * len(paths) if levels is None else levels
    course = lay_out(paths, styles, levels, rng if own is None else own)
    strength = np.array([g * s.strength for g, s in zip(grey, styles, strict=True)])
    grain = _grain(styles, rng)
    paint = _paint_under(canvas, paths, styles)
    batches = course.first[:-1] // BATCH_POINTS
    borders = np.flatnonzero(np.diff(batches, prepend=-1)).tolist()
    pieces = []
    for start, stop in itertools.pairwise([*borders, len(paths)]):
        pieces += _paint(canvas, course, range(start, stop), styles, strength, grain, paint)
    return pieces


def _paint(
    canvas: NDArray[np.float32],
    course: Course,
    lines: range,
    styles: Sequence[LineStyle],
    strength: NDArray[np.float64],
    grain: NDArray[np.float64] | None,
    paint: _Paint | None,
) -> list[PaintedPiece]:
    shape = canvas.shape[0], canvas.shape[1]
    band = band_around(course, lines, shape)
    part = slice(lines.start, lines.stop)
    line, strength, styles = band.line - lines.start, strength[part], styles[part]
    profile = cross_section(styles, line, band.across, band.beyond, band.along, band.width)
    grey = strength[line] * band.level * profile
    if grain is not None:
        rough = np.array([style.roughness for style in styles])[line]
        # Every line has a part of the grain to itself.
        rows, columns = np.divmod(band.pixel, shape[1])
        rows = (rows + GRAIN_SHIFT_PX * band.line) & (GRAIN_PX - 1)
        grey *= 1 + rough * np.take(grain, GRAIN_PX * rows + (columns & (GRAIN_PX - 1)))

    flat = canvas.reshape(-1)
    before: NDArray[np.floating] = flat[band.pixel]
    if paint is not None:
        hidden = paint.opacity[band.line] * np.abs(profile)
        before = before + hidden * (paint.ground[band.line] - before)
    painted = np.abs(np.minimum(np.maximum(before + grey, 0), 1) - before)
    wanted, found = (np.bincount(line, w, len(lines)) for w in (np.abs(grey), painted))
    kept = np.divide(found, wanted, out=np.ones(len(lines)), where=wanted > 0)
    if paint is None:
        np.add.at(flat, band.pixel, grey.astype(np.float32))
        flat[band.pixel] = np.minimum(np.maximum(flat[band.pixel], 0), 1)
    else:
        # One over the other: what hides the texture hides the lines behind it as well.
        bounds = np.searchsorted(band.line, [*lines, lines.stop]).tolist()
        for own in map(slice, bounds, bounds[1:]):
            pixel, share = band.pixel[own], hidden[own]
            ground = paint.ground[band.line[own]]
            covered = flat[pixel] * (1 - share) + ground * share + grey[own]
            flat[pixel] = np.minimum(np.maximum(covered, 0), 1).astype(np.float32)
    opacity = np.zeros(len(course.first) - 1) if paint is None else paint.opacity
    return _pieces(course, lines, band, strength * kept, opacity, shape)


class _Paint(NamedTuple):
    """Opacity of every line, and the mean grey under it, from which its contrast counts."""

    opacity: NDArray[np.float64]
    ground: NDArray[np.float64]


def _paint_under(
    canvas: NDArray[np.float32], paths: Sequence[NDArray[np.float64]], styles: Sequence[LineStyle]
) -> _Paint | None:
    if not any(style.opacity for style in styles):
        return None
    height, width = canvas.shape
    means = []
    for path in paths:
        inside = ((path >= 0) & (path < [width, height])).all(axis=1)
        columns, rows = path[inside].astype(np.intp).T
        means.append(float((canvas[rows, columns] if inside.any() else canvas).mean()))
    opacity = [s.opacity * (s.contrast in ("dark", "bright")) for s in styles]
    return _Paint(np.array(opacity), np.array(means))


def _grain(styles: Sequence[LineStyle], rng: np.random.Generator) -> NDArray[np.float64] | None:
    """Return a square of noise of unit variance that repeats, as coarse as the coarsest style."""
    if not any(style.roughness for style in styles):
        return None
    size = max(style.roughness_px for style in styles)
    noise = rng.standard_normal((GRAIN_PX, GRAIN_PX))
    if not size:
        return noise
    reach = int(np.ceil(3 * size))
    wide = np.pad(noise, reach, mode="wrap")
    tile = np.asarray(cv2.GaussianBlur(wide, (2 * reach + 1, 2 * reach + 1), size), np.float64)
    tile = tile[reach:-reach, reach:-reach]
    return np.asarray(tile / tile.std())


def _pieces(
    course: Course,
    lines: range,
    band: Band,
    grey: NDArray[np.float64],
    opacity: NDArray[np.float64],
    shape: tuple[int, int],
) -> list[PaintedPiece]:
    near = np.flatnonzero(band.across**2 + band.beyond**2 <= (band.width / 2) ** 2)
    bounds = np.searchsorted(band.line[near], [*lines, lines.stop]).tolist()
    rows, columns = np.divmod(band.pixel[near], shape[1])
    near_place, first = band.place[near], course.first.tolist()
    pieces = []
    for k, low, high in zip(lines, bounds, bounds[1:], strict=False):
        here, whole = slice(low, high), first[k + 1] - first[k] - 1
        for start, end, points in pieces_inside(course.centres[first[k] : first[k + 1]], shape):
            samples = slice(first[k] + math.ceil(start), first[k] + int(end) + 1)
            width, level = (float(v[samples].mean()) for v in (course.width, course.level))
            own_rows, own_columns = rows[here], columns[here]
            if end - start < whole:
                # Nothing of another piece of the line, but all within half a width of the ends.
                cap, places = width / 2 / course.step[k], near_place[here] - first[k]
                near_it = (places >= start - cap) & (places <= end + cap)
                own_rows, own_columns = own_rows[near_it], own_columns[near_it]
            length, mask = polyline_length(points), _mask(own_rows, own_columns)
            peak = float(grey[k - lines.start]) * level
            pieces.append(PaintedPiece(k, points, mask, length, width, peak, float(opacity[k])))
    return pieces


def _mask(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Mask:
    if not len(rows):
        return Mask(0, 0, np.zeros((0, 0), bool))
    y, x, end_y, end_x = rows.min(), columns.min(), rows.max(), columns.max()
    bitmap = np.zeros((end_y - y + 1, end_x - x + 1), bool)
    bitmap[rows - y, columns - x] = True
    return Mask(int(x), int(y), bitmap)
