"""Swelling by cavities: their volume over that of the matrix around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import SeriesStyle, new_figure, type_colour
from defectscope.analysis.counting import LEVEL, detection_factor, detection_spread, scaled_limits
from defectscope.analysis.detector_scores import (
    DetectorScoreOptions,
    detector_note,
    field_note,
    scores_of,
)
from defectscope.analysis.series import SeriesPanel
from defectscope.analysis.whole_sizes import cut_note, with_whole_sizes
from defectscope.core.fields import counted_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Swelling", "SwellingOptions", "sphere_volumes", "swelling_of", "swelling_table"]


class SwellingOptions(DetectorScoreOptions):
    """Options of the analysis ``cavity-swelling``."""

    defect_types: tuple[str, ...] = Field(
        ("cavity", "void", "bubble"), description="defect types that are cavities"
    )


def sphere_volumes(diameters: ArrayLike) -> NDArray[np.float64]:
    """Return the volumes of spheres, π·d³/6."""
    return np.asarray(np.pi / 6 * np.asarray(diameters, float) ** 3)


def swelling_of(cavities: ArrayLike, foil: ArrayLike) -> NDArray[np.float64]:
    """Return ΔV/V = V_c / (V - V_c); NaN where the cavities fill the foil.

    Parameters
    ----------
    cavities, foil
        (n,) volumes V_c of the cavities, and V of the foil that was looked at, cavities included.
    """
    own, whole = np.asarray(cavities, float), np.asarray(foil, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(own < whole, own / (whole - own), np.nan)


def swelling_table(
    tables: Tables,
    defect_types: tuple[str, ...],
    scores: Mapping[str, float] | None = None,
    level: float = LEVEL,
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
    level
        Probability of the limits.

    Returns
    -------
    DataFrame
        ``frame``, ``time_s``, ``dose_dpa``, ``count``, ``swelling`` (a fraction), its standard
        error (``_error``) and limits (``_low``, ``_high``; NaN where the foil would be filled).

    Notes
    -----
    The volume V_c of the cavities is multiplied by f = p/r, as counts are, for precision p and
    recall r. Its standard error is that of a sum over a number of cavities that varies as counts
    do, sqrt(Σ v²); relative errors of p and r, and n·f·s·hypot(1 - p, 1 - r) for the mean volume, s
    being the standard deviation of the n volumes in the frame, are added in quadrature. Swelling
    varies as V²/(V - V_c)² times V_c/V. Limits are those of as many equal cavities as have the same
    relative error, (Σ v)²/Σ v²; where none was seen, of cavities of the series' Σ v²/Σ v.
    Cavities without a diameter count, as do those of which the rim left too little for one (see
    :func:`defectscope.analysis.whole_sizes.with_whole_sizes`), and have in the mean the volume of
    the others of their type in the frame, or of those of the series where it has none.
    """
    known = scores or {}
    factor, factor_error = detection_factor(known)
    nm, thickness = tables.calibration.pixel_size_nm, tables.calibration.thickness_nm
    assert nm is not None
    assert thickness is not None
    frames = tables.frames[tables.frames["status"] == "ok"]
    fields = counted_fields(tables)
    found = _cavities(tables, defect_types)
    found = with_whole_sizes(found[fields.hold(found)])
    row = fields.rows(found)
    seen = np.array([tables.calibration.visible(str(n)) for n in found["defect_type"]], float)
    volume, square = _volumes(found, row)
    number = np.bincount(row, minlength=len(frames))
    total = np.asarray(np.bincount(row, volume / seen, minlength=len(frames)), float)
    squares = np.bincount(row, square / seen**2, minlength=len(frames))
    # n²s² with m - 1 in the variance, of m measured ones; rounding must not make it negative.
    excess = np.maximum(number * squares - total**2, 0)
    measured = np.bincount(row[found["diameter_nm"].notna()], minlength=len(frames))
    among = excess * np.where(measured > 1, measured / np.maximum(measured - 1, 1), 1.0)
    # Relative, of all but the number of cavities.
    usual = squares.sum() / total.sum() if total.sum() else np.nan
    other = np.hypot(
        factor_error,
        np.sqrt(among) * detection_spread(known) / np.where(total > 0, total, np.inf),
    )
    spread = factor * np.sqrt(squares + (total * other) ** 2)
    weight = np.divide(squares, total, out=np.full(len(total), usual), where=total > 0)
    low, high = scaled_limits(total / weight, factor * weight, other, level)
    total = factor * total
    foil = fields.areas_px * nm**2 * thickness
    table = frames[["frame", "time_s", "dose_dpa"]].reset_index(drop=True)
    table["count"] = number
    table["swelling"] = swelling_of(total, foil)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["swelling_error"] = spread * foil / (foil - total) ** 2
    table["swelling_low"], table["swelling_high"] = swelling_of(low, foil), swelling_of(high, foil)
    return table


def _cavities(tables: Tables, defect_types: tuple[str, ...]) -> pd.DataFrame:
    return tables.detections[tables.detections["defect_type"].isin(defect_types)]


def _volumes(
    found: pd.DataFrame, row: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return volume and squared volume (n,) of cavities, in the mean where one is unknown."""
    volume = sphere_volumes(found["diameter_nm"])
    both = pd.DataFrame({"volume": volume, "square": volume**2}, found.index)
    for keys in ([found["defect_type"], row], [found["defect_type"]]):
        if both["volume"].isna().any():
            both = both.fillna(both.groupby(keys).transform("mean"))
    both = both.fillna(both.mean())
    return both["volume"].to_numpy(), both["square"].to_numpy()


class Swelling(Analysis):
    """Swelling by cavities against dose."""

    Options = SwellingOptions
    options: SwellingOptions

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none without cavities, sizes, pixel size or thickness."""
        calibration = tables.calibration
        known = calibration.pixel_size_nm is not None and calibration.thickness_nm is not None
        cavities = _cavities(tables, self.options.defect_types)
        if not known or "diameter_nm" not in cavities:
            return []
        if with_whole_sizes(cavities)["diameter_nm"].isna().all():
            return []
        scores, note = self._scores(tables, sorted(cavities["defect_type"].unique()))
        table = swelling_table(tables, self.options.defect_types, scores)
        if table.empty:
            return []
        figure, (panel,) = new_figure()
        series = SeriesPanel(panel, tables.frames, "95 % limits")
        names = ("swelling", "swelling_low", "swelling_high")
        y, low, high = (100 * table[name].to_numpy(float) for name in names)
        series.draw(table, y, low, high, SeriesStyle("All cavities", type_colour(5)))
        panel.set_ylabel("Swelling (%)")
        panel.set_ylim(bottom=0)
        limits = (low[-1], high[-1]) if np.isfinite(high[-1]) else (None, None)
        where = series.axis.where(table["frame"].iloc[-1], "in the last frame")
        number = KeyNumber(f"Swelling {where}", y[-1], "%", *limits)
        title = "Swelling by cavities"
        source = self.options.source(tables)
        notes = (note,
                 detector_note(scores, source, False, "mean volumes"),
                 cut_note(cavities[counted_fields(tables).hold(cavities)]),
                 field_note(tables))  # fmt: skip
        return [
            Finding(
                "cavity-swelling", title, table, figure, (number,), " ".join(filter(None, notes))
            )
        ]

    def _scores(self, tables: Tables, names: list[str]) -> tuple[Mapping[str, float], str]:
        """Return by what volumes are corrected, and what is to be said of it.

        Those of a detector of several types are corrected where one of them is all cavities.
        """
        known, by_type = tables.detector_scores, tables.detector_scores_by_type
        scores, by_type = self.options.scores(known), self.options.scores_by_type(by_type)
        if by_type and len(names) > 1:
            by_type = {name: {} for name in names}
        source = self.options.source(tables)
        note = detector_note(scores, source, by_type=by_type, names=names)
        return scores_of(names[0], scores, by_type), note

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        if not tables.detections["defect_type"].isin(self.options.defect_types).any():
            return f"no defect is one of {', '.join(self.options.defect_types)}"
        if tables.calibration.pixel_size_nm is None:
            return "the pixel size is not known"
        if tables.calibration.thickness_nm is None:
            return "the foil thickness is not known"
        return "no sizes were measured; choose a post-processor for the run"
