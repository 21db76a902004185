"""Lines so near to each other that each shows in the profile of the other, told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.line_profiles import MeasuredLine, measure_lines
from defectscope.generators.line_contrast import LineStyle
from defectscope.generators.line_painting import paint_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csc_matrix

__all__ = ["told_apart"]

# Lines are crowded where another is nearer than this many widths, along this part of them.
CROWDED_WIDTHS = 2.0
CROWDED_SHARE = 0.2
# How strongly lines that cannot be told apart are taken to be equally strong.
EQUALITY = 0.03
# Painted at this contrast, on middle grey, nothing is cut off at black or white.
SAFE_GREY = 0.25


def told_apart(
    excess: NDArray[np.float64],
    paths: Sequence[NDArray[np.float64]],
    found: Sequence[MeasuredLine | None],
    follow_px: float,
) -> list[MeasuredLine | None]:
    """Measure crowded lines again on an image from which their neighbours are taken away.

    How much of the grey belongs to which line is decided by least squares over all pixels.

    Parameters
    ----------
    excess
        (H, W) grey of the image over that of its background.
    paths
        (k, 2) points of each line.
    found
        What was measured on each by itself.
    follow_px
        How far a line may lie beside its label.
    """
    crowded = _crowded(paths, found)
    if not crowded:
        return list(found)
    shapes = _shapes(excess.shape, paths, found)
    weights = _weights(shapes, excess.ravel())
    together = shapes @ weights
    again = list(found)
    for k in crowded:
        own = shapes[:, [k]].toarray().ravel() * weights[k]
        alone = (excess.ravel() - together + own).reshape(excess.shape).astype(np.float32)
        measured = measure_lines(alone, [paths[k]], follow_px=follow_px)[0]
        again[k] = found[k] if measured is None else measured
    return again


def _crowded(
    paths: Sequence[NDArray[np.float64]], found: Sequence[MeasuredLine | None]
) -> list[int]:
    from scipy.spatial import cKDTree

    crowded = []
    for k, line in enumerate(found):
        others = [path for j, path in enumerate(paths) if j != k]
        if line is None or not others:
            continue
        gaps = np.asarray(cKDTree(np.concatenate(others)).query(paths[k])[0])
        if (gaps < CROWDED_WIDTHS * line.width_px).mean() > CROWDED_SHARE:
            crowded.append(k)
    return crowded


def _shapes(
    shape: tuple[int, ...],
    paths: Sequence[NDArray[np.float64]],
    found: Sequence[MeasuredLine | None],
) -> csc_matrix:
    """Return (H W, n) what each line adds to the grey, as it was measured."""
    from scipy.sparse import csc_matrix

    rows, columns, values = [], [], []
    for k, (path, line) in enumerate(zip(paths, found, strict=True)):
        if line is None:
            continue
        canvas = np.full(shape, 0.5, np.float32)
        style = LineStyle(line.kind, SAFE_GREY, line.width_px, line.flatness, line.side)
        level = np.clip(line.level, 0.0, 1.9)
        path = _where_it_lies(path, line)
        paint_lines(canvas, [path], [style], [1.0], np.random.default_rng(0), [level])
        added = (canvas.ravel() - 0.5) * (abs(line.contrast) / SAFE_GREY)
        here = np.flatnonzero(added)
        rows.append(here)
        columns.append(np.full(len(here), k))
        values.append(added[here])
    parts = (np.concatenate(part) for part in (values, rows, columns))
    value, row, column = parts
    size = int(np.prod(shape)), len(paths)
    return csc_matrix((value.astype(np.float64), (row, column)), shape=size)


def _where_it_lies(path: NDArray[np.float64], line: MeasuredLine) -> NDArray[np.float64]:
    """Return the path of a line itself, where its label lies beside it."""
    tangents = np.gradient(path, axis=0)
    tangents /= np.maximum(np.hypot(*tangents.T), 1e-12)[:, None]
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
    return np.asarray(path + line.shift_px[:, None] * normals, np.float64)


def _weights(shapes: csc_matrix, excess: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (n,) factors at which the lines together make up the grey best."""
    overlap = (shapes.T @ shapes).toarray()
    seen = np.asarray(shapes.T @ excess).ravel()
    # As strong as it would be if all that overlap were equally strong.
    equal = seen / np.maximum(np.abs(overlap).sum(axis=1), 1e-12)
    pull = EQUALITY * np.diag(overlap) + 1e-12
    solved = np.linalg.solve(overlap + np.diag(pull), seen + pull * equal)
    return np.asarray(np.clip(solved, 0.0, 2.0), np.float64)
