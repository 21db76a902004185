"""The tables of a profile comparison, and the measured images that they are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.line_profiles import MeasuredLine
from defectscope.core.ribbons import known_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Profiled", "line_table", "profile_table"]

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


def profile_table(real: Profiled, twin: Profiled | None) -> pd.DataFrame:
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


def line_table(real: Profiled, twin: Profiled | None, distances: Sequence[float]) -> pd.DataFrame:
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
