"""Volume swelling by cavities."""

from __future__ import annotations

import defectscope as ds
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

__all__ = ["Swelling", "SwellingOptions"]

LABELS = {"dose_dpa": "Dose (dpa)", "time_s": "Time (s)", "frame": "Frame"}


class SwellingOptions(ds.Options):
    """Options of ``swelling``."""

    defect_type: str = Field("cavity", min_length=1, description="defect type that is counted")


class Swelling(ds.Analysis):
    """Volume of the cavities, as a fraction of that of the material without them.

    ΔV/V = V_c / (V − V_c), with V the field of view times the foil thickness and V_c the sum of
    πd³/6 over all cavities, divided by the visible fraction. The error is that of counting:
    sqrt(Σv²). Cavities that the surfaces of the foil cut are taken as whole.
    """

    Options = SwellingOptions
    options: SwellingOptions

    def analyse(self, tables: ds.Tables) -> list[ds.Finding]:
        """Return one finding; none where sizes, pixel size or thickness are unknown."""
        calibration = tables.calibration
        frames = tables.frames[tables.frames["status"] == "ok"]
        known = None not in (calibration.pixel_size_nm, calibration.thickness_nm)
        if frames.empty or not known or "diameter_nm" not in tables.detections:
            return []
        table = self._table(tables, frames)
        if not table["number"].any():
            return []
        axis = next((n for n in ("dose_dpa", "time_s") if table[n].notna().any()), "frame")
        figure = Figure(figsize=(5.2, 3.8), dpi=150, layout="constrained")
        panel = figure.add_subplot()
        panel.errorbar(
            table[axis], table["swelling_percent"], table["swelling_error_percent"],
            fmt="o-", markersize=3, linewidth=1, color="#0072b2",
        )  # fmt: skip
        panel.set(xlabel=LABELS[axis], ylabel="Swelling ΔV/V (%)")
        panel.set_ylim(bottom=0)
        return [ds.Finding("swelling", "Volume swelling (bars: counting error)", table, figure)]

    def _table(self, tables: ds.Tables, frames: pd.DataFrame) -> pd.DataFrame:
        found = tables.detections[tables.detections["defect_type"] == self.options.defect_type]
        diameters = {
            int(str(frame)): rows["diameter_nm"].dropna().to_numpy(float)
            for frame, rows in found.groupby("frame")
        }
        sizes = frames[["frame", "width_px", "height_px"]].to_numpy(float).tolist()
        rows = [
            (diameters.get(int(frame), np.zeros(0)), self._volume_nm3(tables, width, height))
            for frame, width, height in sizes
        ]
        visible = tables.calibration.visible(self.options.defect_type)
        table = frames[["frame", "time_s", "dose_dpa"]].reset_index(drop=True)
        table["number"] = [len(d) for d, _ in rows]
        table["mean_diameter_nm"] = [float(d.mean()) if len(d) else np.nan for d, _ in rows]
        cavities = np.array([(np.pi / 6 * d**3).sum() for d, _ in rows]) / visible
        errors = np.array([np.sqrt(((np.pi / 6 * d**3) ** 2).sum()) for d, _ in rows]) / visible
        volumes = np.array([volume for _, volume in rows])
        table["swelling_percent"] = 100 * cavities / (volumes - cavities)
        table["swelling_error_percent"] = 100 * errors * volumes / (volumes - cavities) ** 2
        return table

    def _volume_nm3(self, tables: ds.Tables, width_px: float, height_px: float) -> float:
        if tables.roi is not None:
            x0, y0, x1, y1 = tables.roi
            width_px, height_px = x1 - x0, y1 - y0
        pixel_nm = tables.calibration.pixel_size_nm or 0.0
        return float(width_px * height_px) * pixel_nm**2 * (tables.calibration.thickness_nm or 0.0)
