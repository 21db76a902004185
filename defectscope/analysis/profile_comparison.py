"""Grey across dislocations, of an image and of its synthetic twin (P1, Fig. 14).

P1: Govind et al., who found the profiles of their twin much smoother than the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.errors import UsageError
from defectscope.core.geometry.polylines import polyline_length, polyline_resample
from defectscope.core.line_profiles import REACH_PX, MeasuredLine, measure_lines
from defectscope.core.ribbons import known_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ProfileComparison", "Profiled", "compare_profiles", "matching_lines"]

# A line of the twin belongs to a labelled one where they are nearer than this on average.
SAME_LINE_PX = 3.0
MATCHING_POINTS = 50
FINELY = 10
SIDES = ("real", "twin")


@dataclass(frozen=True)
class Profiled:
    """An image, its lines, and what was measured on them.

    Parameters
    ----------
    pixels
        (H, W) float32 grey, 0 to 1.
    lines
        (k, 2) points x, y of each, about 1 px apart; None where a line has no twin.
    measured
        One entry a line.
    scale
        Pixels of this image per pixel of the real one.
    """

    pixels: NDArray[np.float32]
    lines: tuple[NDArray[np.float64] | None, ...]
    measured: tuple[MeasuredLine | None, ...]
    scale: float = 1.0

    def averaged(self, position: int, offsets_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (m,) mean grey along a line at offsets in px of the real image."""
        line = self.measured[position]
        return self._at(line, None if line is None else line.ribbon.averaged(), offsets_px)

    def single(
        self, position: int, share: float, offsets_px: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the (m,) grey across a line at one place, this share of its length along it."""
        line = self.measured[position]
        grey = None if line is None else line.ribbon.grey
        row = None if grey is None else grey[round(share * (len(grey) - 1))]
        return self._at(line, row, offsets_px)

    def clear_place(self, position: int) -> float:
        """Return which share of a line's length to go to see most of its surroundings.

        The nearest to the middle, of places equally free of other lines and the image's rim.
        """
        line = self.measured[position]
        if line is None:
            return 0.5
        known = np.isfinite(line.ribbon.grey).sum(axis=1)
        shares = np.linspace(0, 1, len(known))
        best = np.flatnonzero(known == known.max())
        return float(shares[best[np.abs(shares[best] - 0.5).argmin()]])

    def _at(
        self,
        line: MeasuredLine | None,
        grey: NDArray[np.float64] | None,
        offsets_px: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        if line is None or grey is None:
            return np.full(len(offsets_px), np.nan)
        own = line.ribbon.offsets_px / self.scale
        return np.interp(offsets_px, own, grey, left=np.nan, right=np.nan)


@dataclass(frozen=True)
class ProfileComparison:
    """Profiles and what they tell of each line.

    Parameters
    ----------
    profiles
        ``line`` (from 0; empty in the mean of all lines), ``kind`` (``single``: across one
        place of the line, ``averaged``: along all of it, ``mean``: of all lines), ``offset_px``,
        ``real_grey``, ``twin_grey`` (0 to 1).
    lines
        One row a line: ``line``, ``length_px``, ``twin_distance_px`` (mean distance of the twin's
        line), and with the prefixes ``real_`` and ``twin_``: ``contrast_kind``, ``width_px`` (full
        width at half maximum), ``contrast`` (grey; negative is dark), ``roughness`` (root mean
        square in grey by which single profiles differ from their average within the width), and
        ``beside_px`` (how far the line lies beside where it is said to lie, root mean square).
    real, twin
        What was measured; `twin` may be None.
    """

    profiles: pd.DataFrame
    lines: pd.DataFrame
    real: Profiled
    twin: Profiled | None


def compare_profiles(
    real: NDArray[np.float32],
    lines: Sequence[NDArray[np.float64]],
    twin: NDArray[np.float32] | None = None,
    twin_lines: Sequence[NDArray[np.float64]] = (),
    *,
    reach_px: float = REACH_PX,
    follow_px: float = 2.0,
) -> ProfileComparison:
    """Measure the grey across labelled lines, and across the same lines of a twin.

    Parameters
    ----------
    real
        (H, W) float32 grey, 0 to 1.
    lines
        (k, 2) points x, y of each labelled line, about 1 px apart.
    twin
        Grey of the twin, of the same proportions; offsets and widths are given in px of `real`.
    twin_lines
        Its lines, in px of the twin, in any order; those without a label beside them do not count.
    reach_px
        How far to look on either side of a line; doubled for lines that fill it.
    follow_px
        Shifts of a line against its label up to this are undone before profiles are averaged.

    Raises
    ------
    UsageError
        There is no line, or the twin has other proportions, or none of its lines is labelled.
    """
    if not len(lines):
        raise UsageError("there is no line to take profiles of; label at least one")
    reach_px = _common_reach(real, lines, reach_px, follow_px)
    first = _profiled(real, lines, 1.0, reach_px, follow_px)
    second, distances = None, [float("nan")] * len(lines)
    if twin is not None:
        scale = _scale(real, twin)
        matches = matching_lines(lines, [line / scale for line in twin_lines])
        if all(match is None for match in matches):
            raise UsageError(
                f"no line of the twin lies within {SAME_LINE_PX:g} px of a labelled one; expected "
                "a twin that was drawn from these labels"
            )
        distances = [float("nan") if match is None else match[1] for match in matches]
        kept = [None if match is None else twin_lines[match[0]] for match in matches]
        second = _profiled(twin, kept, scale, reach_px, follow_px)
    return ProfileComparison(
        _profile_table(first, second), _line_table(first, second, distances), first, second
    )


def _scale(real: NDArray[np.float32], twin: NDArray[np.float32]) -> float:
    height, width = (b / a for a, b in zip(real.shape, twin.shape, strict=True))
    if abs(height - width) * max(real.shape) > 1 + max(height, width):
        raise UsageError(
            f"the twin has {twin.shape[1]} x {twin.shape[0]} px and the image {real.shape[1]} x "
            f"{real.shape[0]} px; expected the same proportions"
        )
    return float(width)


def _common_reach(
    pixels: NDArray[np.float32],
    lines: Sequence[NDArray[np.float64]],
    reach_px: float,
    follow_px: float,
) -> float:
    """Return how far to look for the widest line, so that the mean is of all lines everywhere."""
    found = measure_lines(pixels, lines, reach_px=reach_px, follow_px=follow_px)
    return max((float(m.ribbon.offsets_px[-1]) for m in found if m is not None), default=reach_px)


def _profiled(
    pixels: NDArray[np.float32],
    lines: Sequence[NDArray[np.float64] | None],
    scale: float,
    reach_px: float,
    follow_px: float,
) -> Profiled:
    present = [line for line in lines if line is not None]
    reach, follow = reach_px * scale, follow_px * scale
    found = iter(measure_lines(pixels, present, reach_px=reach, follow_px=follow))
    measured = tuple(None if line is None else next(found) for line in lines)
    return Profiled(pixels, tuple(lines), measured, scale)


def matching_lines(
    lines: Sequence[NDArray[np.float64]], others: Sequence[NDArray[np.float64]]
) -> list[tuple[int, float] | None]:
    """Return for each line which of the others it is, and their mean distance in px; or None.

    The nearest pair of all is joined first, one to one.
    """
    distances = np.array([[_distance(a, b) for b in others] for a in lines])
    found: list[tuple[int, float] | None] = [None] * len(lines)
    while distances.size and distances.min() < SAME_LINE_PX:
        k, j = np.unravel_index(int(distances.argmin()), distances.shape)
        found[k] = int(j), float(distances[k, j])
        distances[k], distances[:, j] = np.inf, np.inf
    return found


def _distance(line: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the mean distance of two lines, each way; of a line that is cut, of what is left."""
    from scipy.spatial import cKDTree

    if not len(line) or not len(other) or _apart(line, other):
        return float("inf")
    # To points so near to each other that they stand for the line between them.
    dense = [polyline_resample(points, FINELY * len(points)) for points in (line, other)]
    there = cKDTree(dense[0]).query(polyline_resample(other, MATCHING_POINTS))[0]
    back = cKDTree(dense[1]).query(polyline_resample(line, MATCHING_POINTS))[0]
    return float(max(np.mean(there), np.median(back)))


def _apart(line: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two lines are too far from each other, seen at once from their boxes."""
    gap = np.maximum(line.min(axis=0) - other.max(axis=0), other.min(axis=0) - line.max(axis=0))
    return bool((gap > SAME_LINE_PX).any())


def _profile_table(real: Profiled, twin: Profiled | None) -> pd.DataFrame:
    parts = []
    offsets = next((m.ribbon.offsets_px for m in real.measured if m is not None), np.zeros(0))
    means: dict[str, list[NDArray[np.float64]]] = {side: [] for side in SIDES}
    single: dict[str, NDArray[np.float64]] = {}
    averaged: dict[str, NDArray[np.float64]] = {}
    for k in range(len(real.lines)):
        share = real.clear_place(k)
        for side, profiled in zip(SIDES, (real, twin), strict=True):
            single[side] = averaged[side] = np.full(len(offsets), np.nan)
            if profiled is not None:
                single[side] = profiled.single(k, share, offsets)
                averaged[side] = profiled.averaged(k, offsets)
        parts += [_rows(k, "single", offsets, single), _rows(k, "averaged", offsets, averaged)]
        if twin is None or twin.lines[k] is not None:
            for side in SIDES:
                means[side].append(averaged[side])
    # Only of lines that are in both.
    mean = {side: known_mean(np.stack(rows), axis=0) for side, rows in means.items()}
    parts.append(_rows(None, "mean", offsets, mean))
    return pd.concat(parts, ignore_index=True)


def _rows(
    line: int | None,
    kind: str,
    offsets: NDArray[np.float64],
    greys: dict[str, NDArray[np.float64]],
) -> pd.DataFrame:
    number = pd.array([pd.NA if line is None else line] * len(offsets), dtype="Int64")
    columns: dict[str, Any] = {"line": number, "kind": kind, "offset_px": offsets}
    return pd.DataFrame(columns | {f"{side}_grey": grey for side, grey in greys.items()})


def _line_table(real: Profiled, twin: Profiled | None, distances: Sequence[float]) -> pd.DataFrame:
    rows = []
    for k, line in enumerate(real.lines):
        row: dict[str, Any] = {
            "line": k,
            "length_px": 0.0 if line is None else polyline_length(line),
            "twin_distance_px": distances[k],
        }
        for side, profiled in zip(SIDES, (real, twin), strict=True):
            row |= _facts(side, profiled, k)
        rows.append(row)
    return pd.DataFrame(rows)


def _facts(side: str, profiled: Profiled | None, position: int) -> dict[str, Any]:
    line = None if profiled is None else profiled.measured[position]
    nothing = float("nan")
    scale = 1.0 if profiled is None else profiled.scale
    beside = nothing if line is None else float(np.sqrt(np.mean(line.shift_px**2))) / scale
    return {
        f"{side}_contrast_kind": None if line is None else line.kind,
        f"{side}_width_px": nothing if line is None else line.width_px / scale,
        f"{side}_contrast": nothing if line is None else line.contrast,
        f"{side}_roughness": nothing if line is None else line.roughness,
        f"{side}_beside_px": beside,
    }
