"""The pixels near gentle lines, column by column, for many lines at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.generators.line_courses import Course

__all__ = ["columns_near", "gentle_lines"]

# A line that keeps this share of its direction along one axis of the frame, so that it never
# turns by more than 72 degrees from it, is crossed once by every row or column.
GENTLE = 0.3
# ... and where no bend is tighter than this, as a share of the reach over the radius.
TIGHT = 0.7


def gentle_lines(
    course: Course,
) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
    """Return (n,) which lines are gentle, along which axis, 0 or 1, and in which sense, 1 or -1."""
    first, line, tangents = course.first[:-1], course.line, course.tangents
    way = course.points[course.first[1:] - 1] - course.points[first]
    axis = (np.abs(way[:, 1]) > np.abs(way[:, 0])).astype(np.intp)
    sense = np.where(way[np.arange(len(way)), axis] > 0, 1, -1)
    along = np.where(axis[line] == 0, tangents[:, 0], tangents[:, 1]) * sense[line]
    bend = np.maximum.reduceat(course.reach * np.abs(course.bend), first)
    return (np.minimum.reduceat(along, first) >= GENTLE) & (bend <= TIGHT), axis, sense


def columns_near(
    course: Course,
    lines: NDArray[np.intp],
    axis: NDArray[np.intp],
    sense: NDArray[np.intp],
    shape: tuple[int, int],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the pixels of a frame near gentle lines, line by line.

    A gentle line is followed column by column (a steep one row by row), with the pixels of each
    on both sides of it.

    Parameters
    ----------
    lines
        (n,) positions in the course.
    axis, sense
        (n,) of these, as :func:`gentle_lines` returns them.
    shape
        (height, width) of the frame.

    Returns
    -------
    pixel, sample : numpy.ndarray
        (p,) position in the flattened frame, and the nearest point of the course, which may be
        off by a few.
    count : numpy.ndarray
        (n,) how many of them belong to each line.
    """
    sizes = np.where(axis == 0, shape[1], shape[0])
    main, line, inside, centre, sample = _columns(course, lines, axis, sense, sizes)
    beyond = main + 0.5 - inside
    nearest = np.rint(sample).astype(np.intp)
    x, y = np.take(course.tangents, nearest, axis=0).T
    upright, step = axis[line] == 1, course.step[lines[line]]
    along, aside = np.where(upright, y, x), np.where(upright, x, y)
    # Beyond its ends the path goes on straight.
    centre += beyond * aside / along
    sample += beyond / along / step
    half = course.reach[nearest] / np.abs(along)
    first = np.maximum(np.ceil(centre - half - 0.5), 0).astype(np.intp)
    stop = np.minimum(np.floor(centre + half - 0.5).astype(np.intp) + 1,
                      np.where(upright, shape[1], shape[0]))  # fmt: skip
    counts = np.maximum(stop - first, 0)

    ends = np.cumsum(counts)
    other = np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - (ends - counts), counts)
    # What lies beside a slanted path has its nearest point farther along it.
    slant = aside / step
    sample = np.repeat(sample - centre * slant, counts) + (other + 0.5) * np.repeat(slant, counts)
    start, end = (np.repeat(course.first[lines + k][line] - k, counts) for k in (0, 1))
    sample = np.minimum(np.maximum(np.rint(sample), start), end).astype(np.intp)
    # A row is as many pixels on as the frame is wide, a column one.
    strides = np.where(upright, shape[1], 1), np.where(upright, 1, shape[1])
    pixel = np.repeat(main * strides[0], counts) + other * np.repeat(strides[1], counts)
    total = np.bincount(line, counts, len(lines)).astype(np.intp)
    return pixel, sample, total


class _Columns(NamedTuple):
    """The columns (of steep lines, rows) that lines cross; arrays of length c.

    Parameters
    ----------
    main, line
        Which column, and of which line.
    inside
        Where it crosses the line, or the end of the line that is nearest, along the axis.
    across, sample
        ... along the other axis, and counted in points of the course.
    """

    main: NDArray[np.intp]
    line: NDArray[np.intp]
    inside: NDArray[np.float64]
    across: NDArray[np.float64]
    sample: NDArray[np.float64]


def _columns(
    course: Course,
    lines: NDArray[np.intp],
    axis: NDArray[np.intp],
    sense: NDArray[np.intp],
    sizes: NDArray[np.intp],
) -> _Columns:
    first, stop = course.first[lines], course.first[lines + 1]
    owner, place = _counted(stop - first)
    point = np.where(sense[owner] > 0, first[owner] + place, stop[owner] - 1 - place)
    x, y = np.take(course.points, point, axis=0).T
    upright = axis[owner] == 1
    u, v = np.where(upright, y, x), np.where(upright, x, y)
    begin = np.flatnonzero(place == 0)
    low, high = u[begin], u[begin + (stop - first) - 1]
    widest = np.maximum.reduceat(course.reach[point], begin)
    from_column = np.maximum((low - widest).astype(np.intp), 0)
    to_column = np.minimum((high + widest).astype(np.intp) + 1, sizes)
    line, main = _counted(np.maximum(to_column - from_column, 0))
    main += from_column[line]
    inside = np.minimum(np.maximum(main + 0.5, low[line]), high[line])
    # All lines at once: each a power of two, which changes no digits, on from the one before.
    apart = np.exp2(np.ceil(np.log2(u.max() - u.min() + 1)))
    wanted, known = inside + apart * line, u + apart * owner
    across, sample = (np.interp(wanted, known, values) for values in (v, point.astype(float)))
    return _Columns(main, line, inside, across, sample)


def _counted(counts: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return for `counts` things each, one after the other, whose each is and its number."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
