"""The course of lines to be painted: their points, small bends, width and strength along them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from defectscope.generators.line_columns import gentle_lines
from defectscope.generators.line_contrast import LineStyle, smooth_noise
from defectscope.generators.line_paths import unit_tangents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Course", "lay_out"]

# Widths and strengths along a line stay within these factors of the line's own.
WIDTH_FACTORS = (0.5, 1.6)
LEVEL_FACTORS = (0.3, 1.9)
# Beyond as many half widths as leave less than 0.5 % of a profile, 2**-(u**flatness), nothing of it
# is left to see; the profile of a black-white pair ends at REACH_OF_DOUBLE.
FADED = 8.0
REACH_OF_DOUBLE = 2.0


@dataclass(frozen=True)
class Course:
    """The points of n lines one after the other; arrays of length k, n + 1 (`first`) or n (`step`).

    Parameters
    ----------
    first
        Where the points of each line begin, and where the last ones end.
    line
        Which line each point belongs to.
    points, tangents
        (k, 2) x, y, px, without the small bends, and unit tangents there.
    bend
        Curvature, 1/px.
    width, level
        Width, px, and strength over its mean along the line.
    shift, slope
        How far the small bends move the line to its side, px, and their change along it.
    reach
        How far from the line, without its small bends, anything of it is seen, px.
    step
        Distance of neighbouring points of each line, px.
    """

    first: NDArray[np.intp]
    line: NDArray[np.intp]
    points: NDArray[np.float64]
    tangents: NDArray[np.float64]
    bend: NDArray[np.float64]
    width: NDArray[np.float64]
    level: NDArray[np.float64]
    shift: NDArray[np.float64]
    slope: NDArray[np.float64]
    reach: NDArray[np.float64]
    step: NDArray[np.float64]

    @cached_property
    def frames(self) -> NDArray[np.float64]:
        """The (4, k) x, y of points and of tangents, each in one piece."""
        return np.ascontiguousarray(np.concatenate([self.points, self.tangents], axis=1).T)

    @cached_property
    def gentle(self) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
        """What :func:`.gentle_lines` tells of the lines."""
        return gentle_lines(self)

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """The (k, 2) points of the centre lines, small bends included."""
        normals = np.stack([-self.tangents[:, 1], self.tangents[:, 0]], axis=1)
        return np.asarray(self.points + self.shift[:, None] * normals)


def lay_out(
    paths: Sequence[NDArray[np.float64]],
    styles: Sequence[LineStyle],
    levels: Sequence[NDArray[np.float64] | None],
    rng: np.random.Generator | Sequence[np.random.Generator],
) -> Course:
    """Choose the course of lines.

    Parameters
    ----------
    paths
        (k, 2) equally spaced points x, y of each line.
    styles
        How each is drawn.
    levels
        (k,) strength at each point / its mean, by line; None where it varies at random.
    rng
        Source of what varies, or one for each line, as in :func:`.smooth_noise`.
    """
    varying = waving = rng
    if not isinstance(rng, np.random.Generator):
        varying, waving = zip(*(source.spawn(2) for source in rng), strict=True)
    first = np.concatenate([[0], np.cumsum([len(path) for path in paths])])
    line, points = np.repeat(np.arange(len(paths)), np.diff(first)), np.concatenate(paths)
    step = np.hypot(*(points[first[:-1] + 1] - points[first[:-1]]).T)
    along = (np.arange(first[-1]) - first[line]) * step[line]
    variation = np.array([style.variation for style in styles])[line]
    variation_px = np.array([style.variation_px for style in styles])
    waviness = np.array([style.waviness_px for style in styles])[line]
    width = np.array([style.width_px for style in styles])[line]
    noise = smooth_noise(along, line, variation_px, varying, 2)
    bends = np.array([style.waviness_length_px for style in styles])
    shift = waviness * smooth_noise(along, line, bends, waving)[0]
    tangents = unit_tangents(points, first)
    slope, bend = _changes(shift, tangents, step[line], first)
    level = np.clip(1 + variation * noise[1], *LEVEL_FACTORS)
    level = _with_known(level, levels, first, line)
    width = width * np.clip(1 + variation / 2 * noise[0], *WIDTH_FACTORS)
    half_widths = np.array([
        REACH_OF_DOUBLE if style.contrast == "double" else FADED ** (1 / style.flatness)
        for style in styles
    ])  # fmt: skip
    reach = half_widths[line] / 2 * width + np.maximum.reduceat(np.abs(shift), first[:-1])[line]
    return Course(
        first,
        line,
        points,
        tangents,
        bend,
        width,
        level,
        shift,
        slope,
        reach,
        step,
    )


def _changes(
    shift: NDArray[np.float64],
    tangents: NDArray[np.float64],
    step: NDArray[np.float64],
    first: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the shift and the direction change by along each line, per px."""
    slope, bend = np.zeros(len(shift)), np.zeros(len(shift))
    slope[1:-1] = (shift[2:] - shift[:-2]) / 2
    turn = (tangents[2:] - tangents[:-2]) / 2
    bend[1:-1] = tangents[1:-1, 0] * turn[:, 1] - tangents[1:-1, 1] * turn[:, 0]
    for change in (slope, bend):
        change /= step
        # Across the border of two lines a difference means nothing.
        change[first[:-1]] = change[first[1:] - 1] = 0
    return slope, bend


def _with_known(
    level: NDArray[np.float64],
    known: Sequence[NDArray[np.float64] | None],
    first: NDArray[np.int64],
    line: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return strengths, those of some lines being known, with a mean of 1 along each line."""
    for k, values in enumerate(known):
        if values is not None:
            level[first[k] : first[k + 1]] = values
    # The mean along a line is the strength asked for, whatever its noise.
    return np.asarray(level / (np.add.reduceat(level, first[:-1]) / np.diff(first))[line])
