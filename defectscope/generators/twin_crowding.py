"""Lines so near to each other that each shows in the profile of the other, told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.line_profiles import MeasuredLine, measure_lines
from defectscope.generators.line_contrast import LineStyle
from defectscope.generators.line_painting import paint_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["told_apart"]

# Lines are crowded where another is nearer than this many widths, along this part of them.
CROWDED_WIDTHS = 2.0
CROWDED_SHARE = 0.2
SWEEPS = 2
# How strongly lines that cannot be told apart are taken to be equally strong.
EQUALITY = 0.03
# Painted at this contrast, on middle grey, nothing is cut off at black or white.
SAFE_GREY = 0.25


@dataclass(frozen=True)
class _Part:
    """What one line adds to the grey: flat positions of pixels, and values."""

    pixels: NDArray[np.intp]
    values: NDArray[np.float32]


def told_apart(
    excess: NDArray[np.float32],
    paths: Sequence[NDArray[np.float64]],
    found: Sequence[MeasuredLine | None],
    follow_px: float,
) -> list[MeasuredLine | None]:
    """Measure crowded lines again, each on an image from which its neighbours are taken away.

    What one line has of the grey that several share is at first decided by least squares, with
    lines that lie where their labels do and are equally wide; then line by line, the strongest
    first, on what the others leave.

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
    again = list(found)
    crowded = _crowded(paths, found)
    if not crowded:
        return again
    parts = _first_parts(excess, paths, found, crowded)
    rest = excess.astype(np.float32).ravel()
    for part in parts.values():
        rest[part.pixels] -= part.values
    order = sorted(crowded, key=lambda k: float(np.abs(parts[k].values).sum()), reverse=True)
    for k in order * SWEEPS:
        rest[parts[k].pixels] += parts[k].values
        measured = measure_lines(rest.reshape(excess.shape), [paths[k]], follow_px=follow_px)[0]
        again[k] = again[k] if measured is None else measured
        parts[k] = _part(excess.shape, paths[k], again[k])
        rest[parts[k].pixels] -= parts[k].values
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


def _first_parts(
    excess: NDArray[np.float32],
    paths: Sequence[NDArray[np.float64]],
    found: Sequence[MeasuredLine | None],
    crowded: Sequence[int],
) -> dict[int, _Part]:
    """Return what each line adds; of crowded ones at the contrasts that explain most together."""
    present = {k: line for k, line in enumerate(found) if line is not None}
    alone = [line for k, line in present.items() if k not in crowded]
    like = {
        kind: [line for line in alone or present.values() if (line.kind == "double") == kind]
        or [line for line in present.values() if (line.kind == "double") == kind]
        for kind in (False, True)
    }
    parts = {}
    for k, line in present.items():
        if k in crowded:
            # What it looks like by itself is mixed with its neighbours.
            same = like[line.kind == "double"]
            line = _plain(
                line,
                min(line.width_px, float(np.median([other.width_px for other in same]))),
                float(np.median([abs(other.contrast) for other in same])),
            )
        parts[k] = _part(excess.shape, paths[k], line)
    weights = _weights(list(parts.values()), excess)
    return {
        k: _Part(part.pixels, (part.values * weight).astype(np.float32))
        for (k, part), weight in zip(parts.items(), weights, strict=True)
    }


def _plain(line: MeasuredLine, width_px: float, contrast: float) -> MeasuredLine:
    kind = line.kind if line.kind == "double" else "dark"
    return replace(
        line,
        kind=kind,
        contrast=contrast,
        width_px=width_px,
        level=np.ones_like(line.level),
        shift_px=np.zeros_like(line.shift_px),
    )


def _part(shape: tuple[int, ...], path: NDArray[np.float64], line: MeasuredLine | None) -> _Part:
    canvas = np.full(shape, 0.5, np.float32)
    if line is not None:
        style = LineStyle(line.kind, SAFE_GREY, line.width_px, line.flatness, line.side)
        level = np.clip(line.level, 0.0, 1.9)
        where = _where_it_lies(path, line)
        paint_lines(canvas, [where], [style], [1.0], np.random.default_rng(0), [level])
    added = canvas.ravel() - np.float32(0.5)
    pixels = np.flatnonzero(added)
    scale = 0.0 if line is None else abs(line.contrast) / SAFE_GREY
    return _Part(pixels, added[pixels] * np.float32(scale))


def _where_it_lies(path: NDArray[np.float64], line: MeasuredLine) -> NDArray[np.float64]:
    """Return the path of a line itself, where its label lies beside it."""
    tangents = np.gradient(path, axis=0)
    tangents /= np.maximum(np.hypot(*tangents.T), 1e-12)[:, None]
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
    return np.asarray(path + line.shift_px[:, None] * normals, np.float64)


def _weights(parts: Sequence[_Part], excess: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the (n,) factors at which parts together make up the grey best."""
    from scipy.sparse import csc_matrix

    values = np.concatenate([part.values for part in parts]).astype(np.float64)
    rows = np.concatenate([part.pixels for part in parts])
    columns = np.repeat(np.arange(len(parts)), [len(part.pixels) for part in parts])
    shapes = csc_matrix((values, (rows, columns)), shape=(excess.size, len(parts)))
    overlap = (shapes.T @ shapes).toarray()
    seen = np.asarray(shapes.T @ excess.ravel().astype(np.float64)).ravel()
    # As strong as it would be if all that overlap were equally strong.
    equal = seen / np.maximum(np.abs(overlap).sum(axis=1), 1e-12)
    pull = EQUALITY * np.diag(overlap) + 1e-12
    return np.asarray(np.linalg.solve(overlap + np.diag(pull), seen + pull * equal), np.float64)
