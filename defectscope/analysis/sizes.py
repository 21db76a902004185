"""Sizes: their distribution, and median and quartiles of each frame (P2, Figs. 5 and 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import SeriesStyle, axis_note, new_figure, series_styles, whole_ticks
from defectscope.analysis.counting import LEVEL, mean_limits
from defectscope.analysis.detector_scores import (
    DetectorScoreOptions,
    ScoresByType,
    detector_note,
    spread_of,
)
from defectscope.analysis.scales import size_column
from defectscope.analysis.series import SeriesPanel
from defectscope.analysis.size_boxes import size_boxes
from defectscope.analysis.whole_sizes import cut_note, with_whole_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from defectscope.analysis.series import FrameAxis

__all__ = ["SizeDistribution", "size_table"]


def size_table(
    tables: Tables,
    column: str,
    scores: Mapping[str, float] | None = None,
    level: float = LEVEL,
    by_type: ScoresByType | None = None,
) -> pd.DataFrame:
    """Return the sizes of each frame and defect type.

    Parameters
    ----------
    tables
        As of the run folder.
    column
        ``diameter_nm`` or ``diameter_px``.
    scores
        ``precision`` and ``recall`` of the detector, where they are known.
    level
        Probability of the limits.
    by_type
        Those of each defect type of a detector of several: see ``Tables.detector_scores_by_type``.

    Returns
    -------
    DataFrame
        ``frame``, ``time_s``, ``dose_dpa``, ``defect_type``, ``count``, and of the diameter in
        its unit: first quartile, median, third quartile, mean, standard error of the mean
        (NaN for a single defect), that error with what the detector adds (``mean_error_…``), and
        the limits of the mean by the latter (``mean_…_low``, ``mean_…_high``; 0 and
        infinity for a single defect).

    Notes
    -----
    ``mean_error`` is sqrt(s²/n + s²·((1 - p)² + (1 - r)²)), s being the standard deviation of the
    sizes, p precision and r recall: see
    :func:`defectscope.analysis.counting.detection_spread` for what is assumed. Defects of which the
    rim of the frame left too little to fit an ellipse to are left out: see
    :func:`defectscope.analysis.whole_sizes.with_whole_sizes`.
    """
    unit = column.rpartition("_")[2]
    groups = with_whole_sizes(tables.detections).groupby(["frame", "defect_type"], sort=True)[
        column
    ]
    table = pd.DataFrame(
        {
            "count": groups.count(),
            f"first_quartile_{unit}": groups.quantile(0.25),
            f"median_{unit}": groups.median(),
            f"third_quartile_{unit}": groups.quantile(0.75),
            f"mean_{unit}": groups.mean(),
            f"standard_error_{unit}": groups.sem(),
        }
    ).reset_index()
    by_detector = groups.std().to_numpy(float) * np.array(
        [spread_of(str(name), scores, by_type) for name in table["defect_type"]], float
    )
    mean, error = (table[f"{n}_{unit}"].to_numpy(float) for n in ("mean", "standard_error"))
    table[f"mean_error_{unit}"] = np.hypot(error, by_detector)
    limits = mean_limits(mean, error, table["count"], level, by_detector)
    table[f"mean_{unit}_low"], table[f"mean_{unit}_high"] = limits
    axis = tables.frames[["frame", "time_s", "dose_dpa"]]
    merged = axis.merge(table, on="frame", how="inner")
    return merged[["frame", "time_s", "dose_dpa", *(c for c in table if c != "frame")]]


def _medians(
    groups: Mapping[str, pd.DataFrame], column: str, styles: Mapping[str, SeriesStyle]
) -> list[KeyNumber]:
    """Return the median of each type; that of several types together is of none of them."""
    return [
        KeyNumber(
            f"Median diameter of all {len(rows)} measured detections"
            + (f", {styles[name].title}" if len(groups) > 1 else ""),
            *(float(rows[column].median()), column[-2:]),
        )
        for name, rows in groups.items()
    ]


def _last_means(
    table: pd.DataFrame, unit: str, styles: Mapping[str, SeriesStyle], axis: FrameAxis
) -> list[KeyNumber]:
    """Return the mean of each type in the last frame that has more than one of it."""
    several = table[table["count"] > 1]
    return [
        KeyNumber(
            f"Mean diameter {axis.where(row['frame'])}, {styles[row['defect_type']].title}",
            *(row[f"mean_{unit}"], unit, row[f"mean_{unit}_low"], row[f"mean_{unit}_high"]),
        )
        for row in several.groupby("defect_type").tail(1).to_dict("records")
    ]


class SizeDistribution(Analysis):
    """Histogram of all diameters, and their median and quartiles in the course of the series."""

    Options = DetectorScoreOptions
    options: DetectorScoreOptions

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none where nothing was measured."""
        detections = with_whole_sizes(tables.detections)
        column = size_column(detections)
        if column is None:
            return []
        unit = column.rpartition("_")[2]
        scores = self.options.scores(tables.detector_scores)
        by_type = self.options.scores_by_type(tables.detector_scores_by_type)
        table = size_table(tables, column, scores, by_type=by_type)
        sizes = detections[column].dropna().to_numpy(float)
        # The far tail of a few bad fits must not squeeze the histogram; "higher", so that the
        # largest of a small number is no tail.
        largest = float(np.quantile(sizes, 0.995, method="higher"))
        edges = np.histogram_bin_edges(sizes, bins=40, range=(0.0, largest)).tolist()
        measured = detections.dropna(subset=[column])
        groups = {str(name): rows for name, rows in measured.groupby("defect_type")}
        styles = series_styles(groups, self.runtime.defect_types)
        figure, (left, right) = new_figure(2)
        axis = _draw_courses(right, table, unit, tables.frames, styles)
        tail = _tail(sizes, largest, unit)
        _draw_histogram(left, {name: rows[column] for name, rows in groups.items()}, edges, styles)
        left.set_xlabel(f"Diameter ({unit})")
        axis_note(left, f"{tail} not shown" if tail else "")
        title = "Sizes: all together, and median and quartiles of each frame"
        numbers = (*_medians(groups, column, styles),
                   *_last_means(table, unit, styles, axis))  # fmt: skip
        notes = (detector_note(scores, self.options.source(tables), for_counts=False,
                               by_type=by_type, names=groups),
                 cut_note(tables.detections),
                 "The bins of the histogram are in figures/size-histogram.csv.",
                 f"The histogram leaves out {tail}." if tail else "")  # fmt: skip
        note = " ".join(filter(None, notes))
        found = Finding("size-distribution", title, table, figure, numbers, note)
        bins = _histogram_table(groups, column, edges)
        histogram = Finding("size-histogram", "Diameters of all, in bins", bins)
        return [found, *size_boxes(groups, styles, axis, column), histogram]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        return "no sizes were measured; choose a post-processor for the run"


def _draw_courses(
    panel: Axes,
    table: pd.DataFrame,
    unit: str,
    frames: pd.DataFrame,
    styles: Mapping[str, SeriesStyle],
) -> FrameAxis:
    """Draw median and quartiles of each frame; return what they are drawn against."""
    series = SeriesPanel(panel, frames, "first to third quartile, about the median",
                         types=len(styles))  # fmt: skip
    for name, style in styles.items():
        own = table[table["defect_type"] == name]
        low, high = (own[f"{side}_quartile_{unit}"] for side in ("first", "third"))
        series.draw(own, own[f"median_{unit}"], low, high, style)
    panel.set_ylabel(f"Diameter ({unit})")
    panel.set_ylim(bottom=0)
    return series.axis


def _draw_histogram(
    panel: Axes,
    sizes: Mapping[str, pd.Series[float]],
    edges: list[float],
    styles: Mapping[str, SeriesStyle],
) -> None:
    """Draw how many of each type are how large."""
    for name, style in styles.items():
        text = f"{style.title} ({len(sizes[name])})"
        if len(sizes) == 1:
            panel.hist(sizes[name], edges, color=style.colour, alpha=0.6, label=text)
        else:  # filled ones would cover each other
            counts = np.histogram(sizes[name], edges)[0]
            panel.stairs(counts, edges, color=style.colour, linewidth=1.3, label=text)
    whole_ticks(panel.yaxis)
    panel.set_ylabel("Detections")
    panel.set_ylim(0, 1.2 * panel.get_ylim()[1])
    panel.legend(frameon=False, loc="upper right")


def _tail(sizes: NDArray[np.float64], largest: float, unit: str) -> str:
    """Return how many are beyond the histogram; nothing where all are in it."""
    beyond = int((sizes > largest).sum())
    return f"{beyond} larger than {largest:.3g} {unit}" if beyond else ""


def _histogram_table(
    groups: Mapping[str, pd.DataFrame], column: str, edges: list[float]
) -> pd.DataFrame:
    """Return the number of each type in each bin of the histogram; the far tail is in none."""
    unit = column[-2:]
    parts = [
        pd.DataFrame({"defect_type": name, f"bin_low_{unit}": edges[:-1],
                      f"bin_high_{unit}": edges[1:],
                      "count": np.histogram(rows[column], edges)[0]})
        for name, rows in groups.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)
