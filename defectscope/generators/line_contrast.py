"""The contrast of dislocation lines: across them, and how it varies along them.

P1 found that its own lines, drawn with one grey value and one width, are smoother than real
ones (Fig. 14). Here width, intensity and course of a line vary at several scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from defectscope.generators.enlarging import enlarged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "CONTRASTS",
    "LineStyle",
    "TextureCells",
    "cross_section",
    "local_texture",
    "median_along",
    "smooth_noise",
]

Contrast = Literal["dark", "bright", "double", "oscillating"]
CONTRASTS: tuple[Contrast, ...] = ("dark", "bright", "double", "oscillating")

# A black-white pair u·exp((1 - u²)/2) falls to half of its extremes at this u outside them.
DOUBLE_HALF_AT = 1.92162
# Half widths from the centre up to which a profile is computed, and at how many places in each:
# 1e-5 of it are lost between.
FARTHEST = 6
PLACES_EACH = 200
# How deep thickness fringes go, and how much of a black-white pair they alternate with.
FRINGE_DEPTH = 0.6
FRINGE_SIDES = 0.5
# The local texture is measured in cells of this many px, three by three of them at a time:
# larger than the grain, smaller than uneven illumination.
TEXTURE_CELL_PX = 10
# The texture changes slowly: one point of a line in five will do.
MEDIAN_STEP = 5
# Flatter canvases have no texture of their own that contrast could be a multiple of.
LEAST_TEXTURE = 0.01


@dataclass(frozen=True)
class LineStyle:
    """How one line is drawn.

    Parameters
    ----------
    contrast
        ``dark``, ``bright``, ``double`` (two-beam: black on one side, white on the other) or
        ``oscillating`` (thickness fringes along an inclined line).
    strength
        Mean peak contrast along the line, in multiples of the local texture or in grey.
    width_px
        Full width at half maximum; for ``double``, between the outer half maxima.
    flatness
        Exponent of the profile: 2 is a Gaussian, larger is flatter with harder edges.
    side
        1 or -1: on which side a black-white pair is black.
    fringe_px, fringe_phase
        Period along the line, px, and phase, rad, of thickness fringes.
    variation
        Relative standard deviation of intensity and, half of it, of width along the line.
    variation_px
        Distance over which they vary.
    waviness_px
        Standard deviation of the small bends of the line, px.
    waviness_length_px
        Distance over which the line bends.
    roughness
        Relative standard deviation of the grain in the line.
    roughness_px
        Standard deviation of the Gaussian that makes this grain; 0 is every pixel by itself.
    opacity
        How much of the texture behind it the line hides, as paint does, with which P1 draws; 0:
        its contrast is added to the texture. For ``dark`` and ``bright``.
    """

    contrast: Contrast
    strength: float
    width_px: float
    flatness: float = 2.0
    side: int = 1
    fringe_px: float = 20.0
    fringe_phase: float = 0.0
    variation: float = 0.0
    variation_px: float = 25.0
    waviness_px: float = 0.0
    waviness_length_px: float = 9.0
    roughness: float = 0.0
    roughness_px: float = 0.0
    opacity: float = 0.0

    def record(self) -> dict[str, Any]:
        """Return everything as values that JSON can hold."""
        return dict(vars(self))


def local_texture(canvas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (H, W) standard deviation of grey around every pixel, at least 0.01."""
    texture = TextureCells.of(canvas)
    return enlarged(texture.values, texture.shape)


@dataclass(frozen=True)
class TextureCells:
    """The same as :func:`local_texture`, in cells: for a few places, and not for every pixel.

    Parameters
    ----------
    values
        (h, w) standard deviation of grey, linear between the centres of cells.
    shape
        (H, W) of the image.
    """

    values: NDArray[np.float64]
    shape: tuple[int, int]

    @classmethod
    def of(cls, canvas: NDArray[np.float32]) -> TextureCells:
        """Measure an image."""
        height, width = canvas.shape
        cells = max(width // TEXTURE_CELL_PX, 1), max(height // TEXTURE_CELL_PX, 1)
        # The mean is taken off first: squares of similar large numbers would cancel.
        # Every other pixel has the same deviation, and is a quarter of the work.
        some = (canvas[::2, ::2] if min(cells) > 1 else canvas).astype(np.float64)
        # In float64, for processors whose filters round differently.
        some -= some.mean()
        mean, square = (
            cv2.blur(cv2.resize(values, cells, interpolation=cv2.INTER_AREA), (3, 3))
            for values in (some, some * some)
        )
        deviation = np.sqrt(np.maximum(square - mean * mean, LEAST_TEXTURE**2))
        return cls(np.asarray(deviation, np.float64), (height, width))

    def medians_along(self, paths: Sequence[NDArray[np.float64]]) -> list[float]:
        """Return the median under each path; where none of it is inside, that of the whole."""
        some = [path[::MEDIAN_STEP] for path in paths]
        if not some:
            return []
        x, y = np.concatenate(some).T
        height, width = self.shape
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        values = self._at(x, y)
        medians, start = [], 0
        for points in some:
            own = slice(start, start := start + len(points))
            here = values[own][inside[own]]
            medians.append(_median(here if len(here) else self.values.ravel()))
        return medians

    def _at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        (height, width), (rows, columns) = self.shape, self.values.shape
        x = np.clip(x * (columns / width) - 0.5, 0, columns - 1)
        y = np.clip(y * (rows / height) - 0.5, 0, rows - 1)
        left, top = x.astype(np.intp), y.astype(np.intp)
        right, below = np.minimum(left + 1, columns - 1), np.minimum(top + 1, rows - 1)
        x -= left
        upper, lower = (
            self.values[row, left] + x * (self.values[row, right] - self.values[row, left])
            for row in (top, below)
        )
        return np.asarray(upper + (y - top) * (lower - upper))


def median_along(texture: NDArray[np.float32], path: NDArray[np.float64]) -> float:
    """Return the median of the pixels under a path; under none, that of the whole."""
    columns, rows = np.floor(path[::MEDIAN_STEP]).astype(np.intp).T
    inside = (rows >= 0) & (columns >= 0)
    inside &= (rows < texture.shape[0]) & (columns < texture.shape[1])
    values = texture[rows[inside], columns[inside]] if inside.any() else texture.ravel()
    return _median(values)


def _median(values: NDArray[np.floating]) -> float:
    # np.median does the same, and takes longer to begin than to end.
    low, high = np.sort(values)[[(len(values) - 1) // 2, len(values) // 2]]
    return float((low + high) / 2)


def smooth_noise(
    position: NDArray[np.float64],
    line: NDArray[np.intp],
    length_px: NDArray[np.float64],
    rng: np.random.Generator | Sequence[np.random.Generator],
    count: int = 1,
) -> NDArray[np.float64]:
    """Return (count, k) noises of unit variance that vary smoothly along lines.

    Parameters
    ----------
    position
        (k,) distance along its line of each point, px; points of a line follow each other.
    line
        (k,) which line each belongs to.
    length_px
        (n,) distance between independent values, by line.
    rng
        Source of the values, or one for each line: then a line has the same noise however long
        the others are, and keeps it where it grows at its end.
    count
        How many, independent of each other.
    """
    x = position / length_px[line]
    whole = np.floor(x).astype(np.intp)
    t = x - whole
    starts = np.searchsorted(line, np.arange(len(length_px)))
    knots = np.ceil(np.maximum.reduceat(x, starts)).astype(np.intp) + 3
    first = np.concatenate([[0], np.cumsum(knots)])
    if isinstance(rng, np.random.Generator):
        values = rng.standard_normal((count, first[-1]))
    else:
        # Value by value along the line, so that more of them change nothing.
        own = [r.standard_normal((k, count)) for r, k in zip(rng, knots.tolist(), strict=True)]
        values = np.concatenate(own).T
    at = first[line] + whole
    # Cubic B-spline weights: smooth to the second derivative, as the drawn width needs.
    square, rest = t * t, 1 - t
    cube = square * t
    weights = np.stack(
        [rest * rest * rest, 3 * cube - 6 * square + 4, 3 * (square + t - cube) + 1, cube]
    )
    # Independent values through these weights have this variance at a given t.
    weights /= np.sqrt((weights * weights).sum(axis=0))
    total = np.zeros((count, len(x)))
    for k, weight in enumerate(weights):
        total += weight * np.take(values, np.minimum(at + k, first[-1] - 1), axis=1)
    return total


@lru_cache(maxsize=64)
def _single(flatness: float) -> NDArray[np.float64]:
    """Return the profile of a dark line at PLACES_EACH places of each half width."""
    places = np.linspace(0, FARTHEST, FARTHEST * PLACES_EACH + 1)
    # One half at u = 1, whatever the exponent.
    return np.asarray(-np.exp2(-(places**flatness)), np.float64)


def _singles(
    styles: Sequence[LineStyle], line: NDArray[np.intp], u: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the profiles of dark lines at `u` half widths, linear between places."""
    table = np.stack([_single(style.flatness) for style in styles])
    last = table.shape[1] - 1
    place = np.minimum(np.abs(u) * PLACES_EACH, last)
    before = np.minimum(place.astype(np.intp), last - 1)
    place -= before
    before += table.shape[1] * line
    profile: NDArray[np.float64] = np.take(table, before)
    profile += place * (np.take(table, before + 1) - profile)
    return profile


def cross_section(
    styles: Sequence[LineStyle],
    line: NDArray[np.intp],
    across: NDArray[np.float64],
    beyond: NDArray[np.float64],
    along: NDArray[np.float64],
    width: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the (p,) grey that lines of unit strength add to pixels.

    Parameters
    ----------
    styles
        Of the n lines.
    line
        (p,) which line each pixel is drawn for.
    across, beyond, along
        (p,) signed distance from the line's centre, distance beyond its end, and distance
        along it, px.
    width
        (p,) width of the line there, px.
    """
    half = width / 2
    u = across / half
    profile = _singles(styles, line, u)
    bounds = np.searchsorted(line, np.arange(len(styles) + 1)).tolist()
    for k, style in enumerate(styles):
        if style.contrast == "dark":
            continue
        own = slice(bounds[k], bounds[k + 1])
        if style.contrast == "bright":
            profile[own] *= -1
            continue
        v = DOUBLE_HALF_AT * u[own]
        pair = style.side * v * np.exp((1 - v * v) / 2)
        if style.contrast == "double":
            profile[own] = pair
            continue
        phase = 2 * np.pi * along[own] / style.fringe_px + style.fringe_phase
        profile[own] *= 1 + FRINGE_DEPTH * np.cos(phase)
        profile[own] += FRINGE_SIDES * np.sin(phase) * pair
    # Half maximum is reached half a width beyond the end, as beside the line.
    ends = np.flatnonzero(beyond)
    profile[ends] *= np.exp2(-((beyond[ends] / half[ends]) ** 2))
    return np.asarray(profile, float)
