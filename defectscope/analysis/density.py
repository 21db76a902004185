"""Number of defects, and their density by area and volume (P2, Fig. 4; P3, Table 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from defectscope import Analysis, Finding, Tables
from defectscope.analysis.axes import new_figure, series_axis, series_styles

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NumberDensity", "density_table"]

NM2_IN_M2 = 1e-18
NM3_IN_M3 = 1e-27


def density_table(tables: Tables) -> pd.DataFrame:
    """Return the densities of each frame and defect type.

    Parameters
    ----------
    tables
        Frames that could not be read have no count and no row.

    Returns
    -------
    DataFrame
        ``frame``, ``time_s``, ``dose_dpa``, ``defect_type``, ``count`` (as seen), ``area_px``
        (of the field of view); with a known pixel size ``areal_density_per_m2`` and its error;
        with a known foil thickness ``number_density_per_m3`` and its error. Densities are
        divided by the visible fraction of the type; errors are those of counting, sqrt(n)/n.

    Notes
    -----
    P2 takes the sample as a box of the field of view times the foil thickness, and multiplies
    by 7/4 for a visible fraction of 4/7.
    """
    frames = tables.frames[tables.frames["status"] == "ok"]
    types = sorted(tables.detections["defect_type"].dropna().unique()) or ["all"]
    counts = tables.detections.groupby(["defect_type", "frame"]).size().to_dict()
    calibration = tables.calibration
    parts = []
    for name in types:
        part = frames[["frame", "time_s", "dose_dpa"]].copy()
        part["defect_type"] = name
        part["count"] = [int(counts.get((name, frame), 0)) for frame in part["frame"]]
        part["area_px"] = _field_of_view_px(frames, tables.roi)
        if calibration.pixel_size_nm is not None:
            area_m2 = part["area_px"] * calibration.pixel_size_nm**2 * NM2_IN_M2
            seen = calibration.visible(name)
            _add_density(part, "areal_density_per_m2", area_m2 * seen)
            if calibration.thickness_nm is not None:
                volume_m3 = area_m2 * calibration.thickness_nm * 1e-9
                _add_density(part, "number_density_per_m3", volume_m3 * seen)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _field_of_view_px(
    frames: pd.DataFrame, roi: tuple[int, int, int, int] | None
) -> NDArray[np.float64]:
    if roi is not None:
        return np.full(len(frames), float((roi[2] - roi[0]) * (roi[3] - roi[1])))
    sides = frames[["width_px", "height_px"]].to_numpy(float)
    return np.asarray(sides.prod(axis=1), float)


def _add_density(part: pd.DataFrame, name: str, extent: pd.Series) -> None:
    part[name] = part["count"] / extent
    part[f"{name}_error"] = np.sqrt(part["count"]) / extent


class NumberDensity(Analysis):
    """Density of each defect type against dose, time or frame, with counting errors."""

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none without frames."""
        table = density_table(tables)
        if table.empty:
            return []
        quantity, label = "count", "Number a frame"
        for name, text in (
            ("areal_density_per_m2", "Areal density (m$^{-2}$)"),
            ("number_density_per_m3", "Number density (m$^{-3}$)"),
        ):
            if name in table:
                quantity, label = name, text
        axis, axis_label = series_axis(table)
        figure, (panel,) = new_figure()
        groups = {str(name): rows for name, rows in table.groupby("defect_type")}
        for name, style in series_styles(groups, self.runtime.defect_types).items():
            rows = groups[name]
            x, y = rows[axis].to_numpy(float), rows[quantity].to_numpy(float)
            error = np.sqrt(y) if quantity == "count" else rows[f"{quantity}_error"].to_numpy(float)
            title, colour = style
            panel.fill_between(x, y - error, y + error, color=colour, alpha=0.25, linewidth=0)
            marker = "o" if len(x) < 40 else ""
            panel.plot(x, y, marker=marker, markersize=3, linewidth=1, color=colour, label=title)
        panel.set(xlabel=axis_label, ylabel=label)
        panel.set_ylim(bottom=0)
        panel.legend(frameon=False)
        return [Finding("number-density", "Number density (band: counting error)", table, figure)]
