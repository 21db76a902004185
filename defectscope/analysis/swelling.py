"""Swelling by cavities: their volume over that of the matrix around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import SeriesStyle, new_figure, type_colour
from defectscope.analysis.counting import detection_factor, detection_spread
from defectscope.analysis.detector_scores import DetectorScoreOptions, detector_note
from defectscope.analysis.series import SeriesPanel
from defectscope.core.fields import counted_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

__all__ = ["Swelling", "SwellingOptions", "swelling_of", "swelling_table"]


class SwellingOptions(DetectorScoreOptions):
    """Options of the analysis ``cavity-swelling``."""

    defect_types: tuple[str, ...] = Field(
        ("cavity", "void", "bubble"), description="defect types that are cavities"
    )


def swelling_of(diameters_nm: ArrayLike, area_nm2: float, thickness_nm: float) -> float:
    """Return ΔV/V of spherical cavities in a foil.

    Parameters
    ----------
    diameters_nm
        (n,) diameters.
    area_nm2, thickness_nm
        Of the part of the foil that was looked at.

    Notes
    -----
    ΔV/V = V_c / (V - V_c), with V_c = Σ π·d³/6 and V the volume of the foil, cavities included.
    """
    cavities = float((np.pi / 6 * np.asarray(diameters_nm, float) ** 3).sum())
    volume = area_nm2 * thickness_nm
    return cavities / (volume - cavities) if volume > cavities else float("nan")


def swelling_table(
    tables: Tables, defect_types: tuple[str, ...], scores: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return the swelling of each frame.

    Parameters
    ----------
    tables
        As of the run folder.
    defect_types
        Those that are cavities.
    scores
        ``precision`` and ``recall`` of the detector and their errors, where they are known.

    Returns
    -------
    DataFrame
        ``frame``, ``time_s``, ``dose_dpa``, ``count``, ``swelling`` (a fraction) and
        ``swelling_error``: the standard error of a sum over a number of cavities that varies as
        counts do, sqrt(Σ v²)/V.

    Notes
    -----
    The volume of the cavities is multiplied by f = p/r, as counts are, for precision p and recall
    r; their relative errors, and n·f·s·hypot(1 - p, 1 - r) for the mean volume, s being the
    standard deviation of the n volumes in the frame, are added in quadrature.
    """
    known = scores or {}
    factor, factor_error = detection_factor(known)
    nm, thickness = tables.calibration.pixel_size_nm, tables.calibration.thickness_nm
    assert nm is not None
    assert thickness is not None
    frames = tables.frames[tables.frames["status"] == "ok"]
    fields = counted_fields(tables)
    found = tables.detections[tables.detections["defect_type"].isin(defect_types)]
    found = found[fields.hold(found)].dropna(subset=["diameter_nm"])
    row = fields.rows(found)
    seen = np.array([tables.calibration.visible(str(n)) for n in found["defect_type"]], float)
    volume = np.pi / 6 * found["diameter_nm"].to_numpy(float) ** 3
    weight = 1 / seen if len(seen) else seen
    number = np.bincount(row, minlength=len(frames))
    total = np.asarray(np.bincount(row, volume * weight, minlength=len(frames)), float)
    squares = np.bincount(row, (volume * weight) ** 2, minlength=len(frames))
    # n²s² with n - 1 in the variance; rounding must not make it negative.
    excess = np.maximum(number * squares - total**2, 0)
    among = excess * number / np.maximum(number - 1, 1)
    spread = factor * np.sqrt(
        squares + (total * factor_error) ** 2 + among * detection_spread(known) ** 2
    )
    total = factor * total
    foil = fields.areas_px * nm**2 * thickness
    table = frames[["frame", "time_s", "dose_dpa"]].reset_index(drop=True)
    table["count"] = number
    with np.errstate(divide="ignore", invalid="ignore"):
        table["swelling"] = np.where(total < foil, total / (foil - total), np.nan)
        table["swelling_error"] = spread / foil
    return table


class Swelling(Analysis):
    """Swelling by cavities against dose."""

    Options = SwellingOptions
    options: SwellingOptions

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none without cavities, sizes, pixel size or thickness."""
        calibration, detections = tables.calibration, tables.detections
        known = calibration.pixel_size_nm is not None and calibration.thickness_nm is not None
        cavities = detections["defect_type"].isin(self.options.defect_types)
        if not known or "diameter_nm" not in detections or not cavities.any():
            return []
        scores = self.options.scores(tables.detector_scores)
        table = swelling_table(tables, self.options.defect_types, scores)
        if table.empty:
            return []
        figure, (panel,) = new_figure()
        series = SeriesPanel(panel, tables.frames, "standard error")
        y, error = (100 * table[name].to_numpy(float) for name in ("swelling", "swelling_error"))
        series.draw(table, y, y - error, y + error, SeriesStyle("All cavities", type_colour(5)))
        panel.set_ylabel("Swelling (%)")
        panel.set_ylim(bottom=0)
        wide = 1.96 * error[-1]
        number = KeyNumber(
            "Swelling in the last frame", y[-1], "%", max(y[-1] - wide, 0), y[-1] + wide
        )
        title = "Swelling by cavities"
        source = self.options.source(tables)
        notes = (detector_note(scores, source),
                 detector_note(scores, source, False, "mean volumes"))  # fmt: skip
        return [
            Finding(
                "cavity-swelling", title, table, figure, (number,), " ".join(filter(None, notes))
            )
        ]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        if not tables.detections["defect_type"].isin(self.options.defect_types).any():
            return f"no defect is one of {', '.join(self.options.defect_types)}"
        if tables.calibration.pixel_size_nm is None:
            return "the pixel size is not known"
        if tables.calibration.thickness_nm is None:
            return "the foil thickness is not known"
        return "no sizes were measured; choose a post-processor for the run"
