"""Rows and units that analyses of tracks share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.series_column import series_column
from defectscope.core.track_quality import moving_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from defectscope import Calibration, Tables

__all__ = [
    "NM2_IN_M2",
    "NM_IN_M",
    "SIZE_COLUMNS",
    "Scale",
    "Steps",
    "Walks",
    "growth_axis",
    "scale_of",
    "sighted",
    "size_column",
    "unit_names",
    "untracked",
    "with_units",
]


NM_IN_M, NM2_IN_M2 = 1e-9, 1e-18
# Diameters, that which is preferred first.
SIZE_COLUMNS = ("diameter_nm", "diameter_px")


class Scale(NamedTuple):
    """Lengths and times of a series: nm and s where they are known, else px and frames."""

    length: float
    length_unit: str
    time: float
    time_unit: str


def scale_of(calibration: Calibration) -> Scale:
    """Return the scale of a series."""
    nm, s = calibration.pixel_size_nm, calibration.frame_interval_s
    return Scale(nm or 1.0, "nm" if nm else "px", s or 1.0, "s" if s else "frame")


SIDES = ("_error", "_low", "_high")


def unit_names(columns: Iterable[str], units: Mapping[str, str]) -> dict[str, str]:
    """Return the names under which columns are written, with their units.

    Parameters
    ----------
    columns
        Names without units.
    units
        By name, as they are read: ``rate`` in ``nm/dpa`` is written as ``rate_nm_per_dpa``, and
        ``rate_error``, ``rate_low`` and ``rate_high`` as ``rate_nm_per_dpa_error`` and so on.
    """
    names = {}
    for column in columns:
        side = next((s for s in SIDES if column.endswith(s) and column not in units), "")
        base = column.removesuffix(side)
        if base in units:
            unit = "frames" if units[base] == "frame" else units[base]
            names[column] = f"{base}_{unit.replace('²', '2').replace('/', '_per_')}{side}"
    return names


def with_units(table: pd.DataFrame, units: Mapping[str, str]) -> pd.DataFrame:
    """Return a table whose columns bear their units, by :func:`unit_names`."""
    return table.rename(columns=unit_names(table.columns, units))


# What analyses of tracks look at: of a million rows, each further column takes its time.
USED = (
    "frame", "particle", "x", "y", "x_corrected", "y_corrected", *SIZE_COLUMNS, "dose_dpa",
    "time_s",
)  # fmt: skip


def sighted(tracks: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that were seen, without those that were filled in, by particle and frame.

    Only positions, sizes, frame, time and dose are kept.
    """
    used = tracks[[name for name in USED if name in tracks]]
    order = np.lexsort((tracks["frame"].to_numpy(), tracks["particle"].to_numpy()))
    if "origin" in tracks:
        order = order[(tracks["origin"] != "interpolated").to_numpy()[order]]
    return used.take(order)


def untracked(tables: Tables) -> str:
    """Return that nothing was tracked, as a clause; empty where something was."""
    if tables.tracks is None:
        return "nothing was tracked; choose a tracker for the run"
    return "no particle was tracked" if tables.tracks.empty else ""


def size_column(table: pd.DataFrame) -> str | None:
    """Return ``diameter_nm`` or ``diameter_px``, whichever is known first, or None."""
    for name in SIZE_COLUMNS:
        if name in table and table[name].notna().any():
            return name
    return None


def growth_axis(tables: Tables) -> tuple[str, str]:
    """Return the column that growth is measured against, and its unit."""
    name = series_column(tables.frames)
    return name, {"dose_dpa": "dpa", "time_s": "s"}.get(name, "frame")


class Steps(NamedTuple):
    """Displacements of particles over a number of frames.

    Parameters
    ----------
    particle
        (k,) rank of the particle, from 0.
    first, last
        (k,) rows at which the step begins and ends, in the table that it was made of.
    moved
        (k, 2) displacement, in the unit of the scale.
    """

    particle: NDArray[np.int64]
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    moved: NDArray[np.float64]


class Walks:
    """The ways of particles, ready to be cut into steps.

    Parameters
    ----------
    rows
        From :func:`sighted`.
    scale
        For the unit of lengths.
    """

    def __init__(self, rows: pd.DataFrame, scale: Scale) -> None:
        particle, frame = rows["particle"].to_numpy(), rows["frame"].to_numpy(np.int64)
        first = np.zeros(int(len(rows) > 0), bool)
        self.rank = np.cumsum(np.r_[first, particle[1:] != particle[:-1]])
        self.number = int(self.rank[-1]) + 1 if len(rows) else 0
        self._at = rows[moving_columns(rows)].to_numpy(float) * scale.length
        self._frame = frame - frame.min(initial=0)
        # Particles are further apart than any two frames of one are.
        self._key = self.rank * (2 * int(self._frame.max(initial=0)) + 2) + self._frame

    def steps(self, lag: int) -> Steps:
        """Return the steps over `lag` frames (differences of indices) between sightings."""
        key = self._key
        if not len(key) or lag > self._frame.max():
            none = np.zeros(0, np.intp)
            return Steps(np.zeros(0, np.int64), none, none, np.zeros((0, 2)))
        place = np.searchsorted(key, key + lag)
        there = np.minimum(place, len(key) - 1)
        first = np.flatnonzero(key[there] == key + lag)
        last = there[first]
        return Steps(self.rank[first], first, last, self._at[last] - self._at[first])
