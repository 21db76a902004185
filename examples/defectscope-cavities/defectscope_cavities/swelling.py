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
    sqrt(Σv²). Cavities that the surfaces of the foil cut are taken as whole. What is masked is no
    part of the field, and of registered frames it is what all of them show.
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
        # Parts of the frames that do not count must count in neither of the two volumes.
        fields = ds.counted_fields(tables)
        found = tables.detections[tables.detections["defect_type"] == self.options.defect_type]
        diameters = {
            int(str(frame)): rows["diameter_nm"].dropna().to_numpy(float)
            for frame, rows in found[fields.hold(found)].groupby("frame")
        }
        seen = [diameters.get(frame, np.zeros(0)) for frame in frames["frame"].tolist()]
        depth_nm = tables.calibration.thickness_nm or 0.0
        volumes = fields.areas_px * (tables.calibration.pixel_size_nm or 0.0) ** 2 * depth_nm
        visible = tables.calibration.visible(self.options.defect_type)
        table = frames[["frame", "time_s", "dose_dpa"]].reset_index(drop=True)
        table["number"] = [len(d) for d in seen]
        table["mean_diameter_nm"] = [float(d.mean()) if len(d) else np.nan for d in seen]
        cavities = np.array([(np.pi / 6 * d**3).sum() for d in seen]) / visible
        errors = np.array([np.sqrt(((np.pi / 6 * d**3) ** 2).sum()) for d in seen]) / visible
        # Unknown where the cavities fill the field, or all of it is masked.
        matrix = np.where(volumes > cavities, volumes - cavities, np.nan)
        table["swelling_percent"] = 100 * cavities / matrix
        table["swelling_error_percent"] = 100 * errors * volumes / matrix**2
        return table
