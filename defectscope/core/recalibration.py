"""Tables of a run under another calibration: what is in px stays, the rest is worked out anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from defectscope.core.tables import unit_twin

if TYPE_CHECKING:
    from defectscope.core.calibration import Calibration
    from defectscope.core.findings import Tables

__all__ = ["recalibrated"]


def recalibrated(tables: Tables, calibration: Calibration) -> Tables:
    """Return tables with times, doses and lengths in nm as a calibration has them.

    Parameters
    ----------
    tables
        Of a run under any calibration. What is unknown in the new one stays as it is.
    calibration
        The new one.
    """
    if calibration == tables.calibration:
        return tables
    return replace(
        tables,
        frames=_timed(tables.frames, calibration),
        detections=_under(tables.detections, calibration),
        tracks=None if tables.tracks is None else _under(tables.tracks, calibration),
        calibration=calibration,
    )


def _under(table: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    return _sized(_timed(table, calibration), calibration.pixel_size_nm)


def _timed(table: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    laws = {}
    if calibration.knows_times:
        laws["time_s"] = calibration.time_s
    if calibration.knows_doses:
        laws["dose_dpa"] = calibration.dose_dpa
    return table.assign(
        **{name: table["frame"].map(law).astype(float) for name, law in laws.items()}
    )


def _sized(table: pd.DataFrame, pixel_size_nm: float | None) -> pd.DataFrame:
    if pixel_size_nm is None:
        return table
    columns: dict[str, pd.Series] = {}
    for name, column in table.items():
        # A twin that is there already has been set by its column in px, which stands before it.
        columns.setdefault(str(name), column)
        twin = unit_twin(str(name), _unit(str(name), table))
        if twin is not None:
            columns[twin[0]] = column.astype(float) * pixel_size_nm ** twin[1]
    return pd.DataFrame(columns, table.index)


def _unit(name: str, table: pd.DataFrame) -> str:
    """Return the unit of a column that has a twin in nm, by its name."""
    if name.endswith("_per_px"):
        return "1/px"
    if not name.endswith("_px"):
        return ""
    is_area = "area" in name or f"{name[:-3]}_nm2" in table
    return "px2" if is_area else "px"
