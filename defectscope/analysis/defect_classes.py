"""Defect types side by side: fractions, diameters, densities, area fractions (P3, Table 3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import axis_note, new_figure, series_styles
from defectscope.analysis.counting import LEVEL, detection_factor, mean_limits
from defectscope.analysis.detector_scores import (
    DetectorScoreOptions,
    ScoresByType,
    detector_note,
    field_note,
    scores_of,
    spread_of,
)
from defectscope.analysis.scales import NM2_IN_M2, size_column
from defectscope.analysis.series import FrameAxis
from defectscope.analysis.whole_sizes import cut_note, with_whole_sizes
from defectscope.core.fields import counted_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

__all__ = ["DefectClasses", "class_table"]

OF_THOSE_FOUND = (
    "Fractions are of those found; true_fraction in the table allows for what differs between the "
    "types: visible fractions, precision and recall."
)
AGAIN = (
    "In this series the same defect is counted in many frames, so that errors and limits in the "
    "table and in the figure are too narrow: they hold for separate images."
)
MAYBE_AGAIN = (
    "Where these images show the same defects again, errors and limits are too narrow: they hold "
    "for separate places."
)


def class_table(
    tables: Tables,
    level: float = LEVEL,
    scores: Mapping[str, float] | None = None,
    by_type: ScoresByType | None = None,
) -> pd.DataFrame:
    """Return what there is of each defect type in all frames together.

    Parameters
    ----------
    tables
        As of the run folder.
    level
        Probability with which limits hold the true value.
    scores
        ``precision`` and ``recall`` of the detector, where they are known.
    by_type
        Those of each defect type of a detector of several: see ``Tables.detector_scores_by_type``.

    Returns
    -------
    DataFrame
        ``defect_type``, ``count``, ``fraction`` of those found and its limits, diameters in nm or
        px: ``mean_…``, ``standard_error_…``, ``mean_error_…`` (with what the detector adds),
        ``mean_…_low``, ``mean_…_high``, ``median_…``;
        ``area_fraction`` (Σ π·a·b over the area of the frames) where axes are known; with a known
        pixel size ``areal_density_per_m2`` and its error (that of counting, and of precision and
        recall). Both are divided by the visible fraction and multiplied by precision / recall, as
        in :func:`defectscope.analysis.density.density_table`; ``count`` and ``fraction`` are of
        what was found. Where visible fractions f, or precision p and recall r, differ between the
        types, there is ``true_fraction``, (n·p/(r·f)) / Σ(n·p/(r·f)), without limits.

    Notes
    -----
    Diameters are those of P3: 2a of loops, 2·sqrt(ab) of dots; see
    :func:`defectscope.analysis.sizes.size_table` for those that are left out. Limits of fractions
    are Wilson's (J. Am. Stat. Assoc. 22 (1927) 209), of means Student's. In a series the same
    defect is in many frames, so that limits are too narrow: they hold for separate images, as those
    of P3 are. With precision and recall the errors of means and fractions f grow by
    s·hypot(1 - p, 1 - r) in quadrature, s being the standard deviation of the diameters, and
    sqrt(f·(1 - f)) of a fraction; see :func:`defectscope.analysis.counting.detection_spread` for
    what is assumed.
    """
    fields = counted_fields(tables)
    found = with_whole_sizes(tables.detections[fields.hold(tables.detections)])
    size = size_column(found)
    total_px, rows, weights = float(fields.areas_px.sum()), [], []
    nm = tables.calibration.pixel_size_nm
    for name, own in found.groupby("defect_type", sort=True):
        by_detector = spread_of(str(name), scores, by_type)
        factor, factor_error = detection_factor(scores_of(str(name), scores, by_type))
        true, n = factor / tables.calibration.visible(str(name)), len(own)
        row = {"defect_type": name, "count": n, **_fraction(n, len(found), by_detector, level)}
        if size is not None:
            row |= _diameters(own[size], size[-2:], by_detector, level)
        if {"major_px", "minor_px"} <= set(own.columns) and total_px:
            # Those of unknown size are as large as the others, in the mean.
            area = np.pi / 4 * (own["major_px"] * own["minor_px"]).mean() * n
            row["area_fraction"] = true * float(area) / total_px
        if nm is not None and total_px:
            density = true / (total_px * nm**2 * NM2_IN_M2)
            row["areal_density_per_m2"] = n * density
            row["areal_density_per_m2_error"] = density * np.hypot(np.sqrt(n), n * factor_error)
        rows.append(row)
        weights.append(true)
    return _with_true_fractions(pd.DataFrame(rows), weights)


def _fraction(n: int, of: int, by_detector: float, level: float) -> dict[str, float]:
    """Return the fraction that a type is of those found, and its limits."""
    share = n / of
    low, high = _wilson(n, of, level)
    low, high = _widened(share, low, high, by_detector * np.sqrt(share * (1 - share)), level)
    return {"fraction": share, "fraction_low": low, "fraction_high": high}


def _diameters(
    sizes: pd.Series[float], unit: str, by_detector: float, level: float
) -> dict[str, float]:
    """Return mean and median of the diameters of a type, with errors and limits."""
    values = sizes.dropna().to_numpy(float)
    mean = float(values.mean()) if len(values) else np.nan
    spread = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    error, added = spread / math.sqrt(max(1, len(values))), by_detector * spread
    low, high = mean_limits(mean, error, len(values), level, added)
    return {
        f"mean_{unit}": mean,
        f"standard_error_{unit}": error,
        f"mean_error_{unit}": float(np.hypot(error, added)),
        f"mean_{unit}_low": float(low),
        f"mean_{unit}_high": float(high),
        f"median_{unit}": sizes.median(),
    }


def _with_true_fractions(table: pd.DataFrame, weights: list[float]) -> pd.DataFrame:
    """Return the table with the share of each type of all there is, where that is another.

    `weights` says of each type how many there are for one that was found.
    """
    if len(set(weights)) < 2:
        return table
    number = table["count"].to_numpy(float) * weights
    table.insert(list(table).index("count") + 1, "true_fraction", number / number.sum())
    return table


def _wilson(n: int, of: int, level: float) -> tuple[float, float]:
    z = float(special.ndtri((1 + level) / 2))
    middle = (n + z**2 / 2) / (of + z**2)
    wide = z / (of + z**2) * float(np.sqrt(n * (of - n) / of + z**2 / 4))
    # Of none or all, one limit is the share itself, but for rounding.
    return max(min(middle - wide, n / of), 0.0), min(max(middle + wide, n / of), 1.0)


def _widened(
    share: float, low: float, high: float, error: float, level: float
) -> tuple[float, float]:
    """Return the limits of a fraction with another standard error, in quadrature."""
    other = float(special.ndtri((1 + level) / 2)) * error
    wide = np.hypot(share - low, other), np.hypot(high - share, other)
    return max(0.0, share - float(wide[0])), min(1.0, share + float(wide[1]))


def _known_limits(row: Mapping[Any, Any], name: str) -> tuple[float | None, float | None]:
    """Return the limits of a mean; a single defect tells none."""
    low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
    return (low, high) if np.isfinite(high) else (None, None)


def _seen_again(tables: Tables) -> bool:
    """Return whether frames show the same defects again: tracked, or a series in time."""
    read = tables.frames[tables.frames["status"] == "ok"]
    tracked = tables.tracks is not None and not tables.tracks.empty
    timed = FrameAxis(read).is_series and len(set(read["time_s"].dropna())) > 1
    return len(read) > 1 and (tracked or timed)


class DefectClasses(Analysis):
    """Fractions and mean diameters of defect types."""

    Options = DetectorScoreOptions
    options: DetectorScoreOptions

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none where nothing was found."""
        scores = self.options.scores(tables.detector_scores)
        by_type = self.options.scores_by_type(tables.detector_scores_by_type)
        table = class_table(tables, scores=scores, by_type=by_type)
        if table.empty:
            return []
        again = _seen_again(tables)
        figure, numbers = self._drawn(table, tables, again)
        note = self._note(table, tables, again)
        return [Finding("defect-types", "Defect types", table, figure, numbers, note)]

    def _drawn(
        self, table: pd.DataFrame, tables: Tables, again: bool
    ) -> tuple[Figure, tuple[KeyNumber, ...]]:
        """Return bars of fractions and, where there are some, of mean diameters, which are key."""
        names = [str(name) for name in table["defect_type"]]
        styles = series_styles(names, self.runtime.defect_types)
        size = next((n for n in ("mean_nm", "mean_px") if n in table), None)
        figure, panels = new_figure(2 if size else 1, width=4.2)
        places = np.arange(len(names))
        colours = [styles[name].colour for name in names]
        titles = [styles[name].title for name in names]
        error = [table["fraction"] - table["fraction_low"],
                 table["fraction_high"] - table["fraction"]]  # fmt: skip
        panels[0].bar(places, table["fraction"], color=colours, yerr=np.array(error), capsize=3)
        everywhere = " in all frames" if (tables.frames["status"] == "ok").sum() > 1 else ""
        panels[0].set(ylabel=f"Fraction of those found{everywhere}", ylim=(0, 1.05))
        narrow = ", too narrow for a series" if again else ""
        axis_note(panels[0], f"Bars: 95 % limits{narrow}")
        numbers: tuple[KeyNumber, ...] = ()
        if size:
            unit = size[-2:]
            panels[1].bar(places, table[size], color=colours, capsize=3,
                          yerr=table[f"mean_error_{unit}"].fillna(0.0))  # fmt: skip
            panels[1].set(ylabel=f"Mean diameter{everywhere} ({unit})")
            axis_note(panels[1], f"Bars: standard errors{narrow}")
            numbers = tuple(
                KeyNumber(f"Mean diameter{everywhere}, {title}", row[size], unit,
                          *(() if again else _known_limits(row, size)))
                for title, row in zip(titles, table.to_dict("records"), strict=True)
            )  # fmt: skip
        for panel in panels:
            panel.set_xticks(places, titles, rotation=20, ha="right")
        return figure, numbers

    def _note(self, table: pd.DataFrame, tables: Tables, again: bool) -> str:
        """Return what the numbers hold for, and what they are corrected for."""
        scores = self.options.scores(tables.detector_scores)
        by_type = self.options.scores_by_type(tables.detector_scores_by_type)
        source, names = self.options.source(tables), [str(name) for name in table["defect_type"]]
        scaled = {"areal_density_per_m2": "densities", "area_fraction": "area fractions"}
        counts = " and ".join(text for name, text in scaled.items() if name in table).capitalize()
        notes = (AGAIN if again else MAYBE_AGAIN if FrameAxis(tables.frames).is_series else "",
                 OF_THOSE_FOUND if "true_fraction" in table else "",
                 detector_note(scores, source, False, "fractions and mean sizes",
                               by_type=by_type, names=names),
                 detector_note(scores, source, counts=counts, by_type=by_type, names=names)
                 if counts else "",
                 cut_note(tables.detections[counted_fields(tables).hold(tables.detections)]),
                 field_note(tables))  # fmt: skip
        return " ".join(filter(None, notes))
