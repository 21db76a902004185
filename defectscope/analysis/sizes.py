"""Sizes: their distribution, and median and quartiles of each frame (P2, Figs. 5 and 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import new_figure, series_axis, series_styles
from defectscope.analysis.counting import detection_spread, mean_limits
from defectscope.analysis.detector_scores import DetectorScoreOptions, detector_note
from defectscope.analysis.scales import size_column

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SizeDistribution", "size_table"]

# Frames of which boxes are drawn.
MOST_BOXES = 12


def size_table(
    tables: Tables, column: str, scores: Mapping[str, float] | None = None
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

    Returns
    -------
    DataFrame
        ``frame``, ``time_s``, ``dose_dpa``, ``defect_type``, ``count``, and of the diameter in
        its unit: first quartile, median, third quartile, mean, standard error of the mean
        (NaN for a single defect), that error with what the detector adds (``mean_error_…``), and
        the limits of the mean by the latter (``mean_…_low``, ``mean_…_high``; infinite for a
        single defect).

    Notes
    -----
    ``mean_error`` is sqrt(s²/n + s²·((1 - p)² + (1 - r)²)), s being the standard deviation of the
    sizes, p precision and r recall: see
    :func:`defectscope.analysis.counting.detection_spread` for what is assumed.
    """
    unit = column.rpartition("_")[2]
    groups = tables.detections.groupby(["frame", "defect_type"], sort=True)[column]
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
    by_detector = groups.std().to_numpy(float) * detection_spread(scores or {})
    mean, error = (table[f"{n}_{unit}"].to_numpy(float) for n in ("mean", "standard_error"))
    table[f"mean_error_{unit}"] = np.hypot(error, by_detector)
    limits = mean_limits(mean, error, table["count"], detector_error=by_detector)
    table[f"mean_{unit}_low"], table[f"mean_{unit}_high"] = limits
    axis = tables.frames[["frame", "time_s", "dose_dpa"]]
    merged = axis.merge(table, on="frame", how="inner")
    return merged[["frame", "time_s", "dose_dpa", *(c for c in table if c != "frame")]]


def _last_means(table: pd.DataFrame, unit: str) -> list[KeyNumber]:
    """Return the mean of each type in the last frame that has more than one of it."""
    several = table[table["count"] > 1]
    return [
        KeyNumber(
            f"Mean diameter in frame {row['frame']}, {row['defect_type']}",
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
        column = size_column(tables.detections)
        if column is None:
            return []
        unit = column.rpartition("_")[2]
        scores = self.options.scores(tables.detector_scores)
        table = size_table(tables, column, scores)
        axis, axis_label = series_axis(tables.frames)
        figure, (left, right) = new_figure(2)
        sizes = tables.detections[column].dropna().to_numpy(float)
        # The far tail of a few bad fits must not squeeze the histogram; "higher", so that the
        # largest of a small number is no tail.
        largest = float(np.quantile(sizes, 0.995, method="higher"))
        edges = np.histogram_bin_edges(sizes, bins=40, range=(0.0, largest)).tolist()
        measured = tables.detections.dropna(subset=[column])
        groups = {str(name): rows for name, rows in measured.groupby("defect_type")}
        for name, (title, colour) in series_styles(groups, self.runtime.defect_types).items():
            rows = groups[name]
            left.hist(rows[column], edges, color=colour, alpha=0.6, label=f"{title} ({len(rows)})")
            own = table[table["defect_type"] == name]
            x = own[axis].to_numpy(float)
            low, high = own[f"first_quartile_{unit}"], own[f"third_quartile_{unit}"]
            right.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
            marker = "o" if len(x) < 40 else ""
            right.plot(
                x, own[f"median_{unit}"], marker=marker, markersize=3, linewidth=1, color=colour
            )
        left.set(xlabel=f"Diameter ({unit})", ylabel="Detections")
        left.set_ylim(0, 1.2 * left.get_ylim()[1])
        left.legend(frameon=False, loc="upper right")
        right.set(xlabel=axis_label, ylabel=f"Diameter ({unit})")
        right.set_ylim(bottom=0)
        title = "Sizes (line: median; band: first to third quartile)"
        numbers = (KeyNumber("Median diameter", float(np.median(sizes)), unit),
                   *_last_means(table, unit))  # fmt: skip
        note = detector_note(scores, self.options.source(tables), for_counts=False)
        found = Finding("size-distribution", title, table, figure, numbers, note)
        return [found, *self._boxes(measured, axis, axis_label, column)]

    def _boxes(
        self, measured: pd.DataFrame, axis: str, axis_label: str, column: str
    ) -> list[Finding]:
        """Return box plots of some frames (P2, Fig. 5)."""
        frames = np.unique(measured["frame"].to_numpy())
        if len(frames) < 2:
            return []
        chosen = frames[np.unique(np.linspace(0, len(frames) - 1, MOST_BOXES).round().astype(int))]
        groups = [measured[measured["frame"] == frame] for frame in chosen]
        figure, (panel,) = new_figure()
        whiskers = panel.boxplot([g[column] for g in groups], flierprops={"markersize": 2})
        names = [g[axis].iloc[0] if axis in g else g["frame"].iloc[0] for g in groups]
        texts = [f"{name:.3g}" if axis != "frame" else str(name) for name in names]
        panel.set_xticks(np.arange(1, len(chosen) + 1), texts, rotation=45)
        panel.set(xlabel=axis_label, ylabel=f"Diameter ({column[-2:]})")
        panel.set_ylim(bottom=0)
        unit = column[-2:]
        table = pd.DataFrame(
            {"frame": chosen, "count": [len(g) for g in groups],
             f"median_{unit}": [line.get_ydata()[0] for line in whiskers["medians"]],
             f"first_quartile_{unit}": [g[column].quantile(0.25) for g in groups],
             f"third_quartile_{unit}": [g[column].quantile(0.75) for g in groups],
             f"low_whisker_{unit}": [w.get_ydata()[1] for w in whiskers["whiskers"][::2]],
             f"high_whisker_{unit}": [w.get_ydata()[1] for w in whiskers["whiskers"][1::2]]}
        )  # fmt: skip
        title = "Sizes in some frames (box: quartiles; whiskers: 1.5 times the box at most)"
        return [Finding("size-boxes", title, table, figure)]
