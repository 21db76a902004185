"""Swelling by cavities: their volume over that of the matrix around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import SeriesStyle, new_figure, type_colour
from defectscope.analysis.counting import LEVEL, detection_factor, scaled_limits
from defectscope.analysis.detector_scores import (
    DetectorScoreOptions,
    ScoresByType,
    detector_note,
    field_note,
    scores_of,
    spread_of,
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
    by_type: ScoresByType | None = None,
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
    by_type
        Those of each defect type of a detector of several: see ``Tables.detector_scores_by_type``.

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
    being the standard deviation of the n volumes in the frame, are added in quadrature. With scores
    by type these are f, n, s, p and r of each type; types that have none of their own stand
    together, with f = 1 and the spread by p and r of all types. Swelling
    varies as V²/(V - V_c)² times V_c/V. Limits are those of as many equal cavities as have the same
    relative error, (Σ v)²/Σ v²; where none was seen, of cavities of the series' Σ v²/Σ v.
    Cavities without a diameter count, as do those of which the rim left too little for one (see
    :func:`defectscope.analysis.whole_sizes.with_whole_sizes`), and have in the mean the volume of
    the others of their type in the frame, or of those of the series where it has none.
    """
    nm, thickness = tables.calibration.pixel_size_nm, tables.calibration.thickness_nm
    assert nm is not None
    assert thickness is not None
    frames = tables.frames[tables.frames["status"] == "ok"]
    fields = counted_fields(tables)
    found = _cavities(tables, defect_types)
    found = with_whole_sizes(found[fields.hold(found)])
    row = fields.rows(found)
    volume, square = _volumes(found, row)
    factor = {name: detection_factor(scores_of(name, scores, by_type))[0] for name in defect_types}
    visible = tables.calibration.visible
    weight = np.array([factor[n] / visible(n) for n in found["defect_type"].astype(str)], float)
    volume, square = volume * weight, square * weight**2
    total = np.asarray(np.bincount(row, volume, minlength=len(frames)), float)
    squares = np.bincount(row, square, minlength=len(frames))
    other = _detector_errors(found.assign(row=row, volume=volume, square=square),
                             len(frames), scores, by_type)  # fmt: skip
    spread = np.sqrt(squares + (total * other) ** 2)
    usual = squares.sum() / total.sum() if total.sum() else np.nan
    weight = np.divide(squares, total, out=np.full(len(total), usual), where=total > 0)
    low, high = scaled_limits(total / weight, weight, other, level)
    foil = fields.areas_px * nm**2 * thickness
    table = frames[["frame", "time_s", "dose_dpa"]].reset_index(drop=True)
    table["count"] = np.bincount(row, minlength=len(frames))
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


def _detector_errors(
    found: pd.DataFrame,
    frames: int,
    scores: Mapping[str, float] | None,
    by_type: ScoresByType | None,
) -> NDArray[np.float64]:
    """Return the relative error (frames,) of the volume by what is known of the detector.

    `found` has the ``row`` of each cavity's frame, its weighted ``volume`` and the ``square``.
    """
    # Types without scores of their own are one population, as all are of a detector of one type.
    own = found["defect_type"].map(lambda n: n if (by_type or {}).get(str(n)) else "")
    total, variance, usual = np.zeros(frames), np.zeros(frames), 0.0
    for name, part in found.groupby(own):
        n, measured = (
            np.bincount(rows["row"], minlength=frames)
            for rows in (part, part[part["diameter_nm"].notna()])
        )
        volume, squares = (
            np.bincount(part["row"], part[c], minlength=frames) for c in ("volume", "square")
        )
        # n²s² with m - 1 in the variance, of m measured ones; rounding must not make it negative.
        among = np.maximum(n * squares - volume**2, 0)
        among *= np.where(measured > 1, measured / np.maximum(measured - 1, 1), 1.0)
        factor_error = detection_factor(scores_of(str(name), scores, by_type))[1]
        variance += (volume * factor_error) ** 2
        variance += among * spread_of(str(name), scores, by_type) ** 2
        total += volume
        usual += (volume.sum() * factor_error) ** 2
    # A frame without cavities has the error of p/r that the series has.
    none = np.full(frames, np.sqrt(usual) / total.sum() if total.sum() else 0.0)
    return np.asarray(np.divide(np.sqrt(variance), total, out=none, where=total > 0))


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
        scores = self.options.scores(tables.detector_scores)
        by_type = self.options.scores_by_type(tables.detector_scores_by_type)
        table = swelling_table(tables, self.options.defect_types, scores, by_type=by_type)
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
        types = sorted(cavities["defect_type"].astype(str).unique())
        notes = (detector_note(scores, source, by_type=by_type, names=types),
                 detector_note(scores, source, False, "mean volumes", by_type=by_type, names=types),
                 cut_note(cavities[counted_fields(tables).hold(cavities)]),
                 field_note(tables))  # fmt: skip
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
