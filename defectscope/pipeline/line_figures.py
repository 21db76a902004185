"""Figures of lines in a benchmark: the matrix of models and datasets, and score over number.

After P1 (Govind et al.), Fig. 9a and b.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from defectscope.core.findings import Finding
from defectscope.pipeline.benchmark_styles import DASHES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.pipeline.benchmark_results import Line
    from defectscope.pipeline.benchmark_styles import Style

__all__ = ["line_findings", "scores_over_number"]

# True lines of a frame are counted in steps of this many.
STEP = 5


def line_findings(lines: Sequence[Line], styles: Mapping[str, Style]) -> list[Finding]:
    """Return the figures, each with the table behind it; none where no detector has lines.

    Parameters
    ----------
    lines
        One for each detector and dataset, without those that failed.
    styles
        Of each detector.
    """
    scored = [line for line in lines if line.row()["line_score"] is not None]
    if not scored:
        return []
    return [_matrix(scored), _over_number(scored, styles)]


def _matrix(lines: Sequence[Line]) -> Finding:
    rows = [{**{n: line.row()[n] for n in ("detector", "dataset")}, **line.lines_row()}
            for line in lines]  # fmt: skip
    table = pd.DataFrame(rows)
    detectors = list(dict.fromkeys(table["detector"]))
    datasets = list(dict.fromkeys(table["dataset"]))
    size = (2.2 + 1.5 * len(datasets), 1.6 + 0.8 * len(detectors))
    figure = Figure(figsize=(2 * size[0], size[1]), dpi=150, layout="constrained")
    title = "Lines: every detector on every dataset"
    figure.suptitle(title, fontsize=10)
    for k, (name, label) in enumerate(
        (("line_score", "Score (P1)"), ("line_precision", "Precision"))
    ):
        values = np.full((len(detectors), len(datasets)), np.nan)
        for row in rows:
            place = detectors.index(row["detector"]), datasets.index(row["dataset"])
            values[place] = np.nan if row[name] is None else row[name]
        _draw_matrix(figure.add_subplot(1, 2, k + 1), values, detectors, datasets, label)
    return Finding("line-score-matrix", title, table, figure)


def _draw_matrix(
    axes: Any, values: NDArray[np.float64], rows: list[str], columns: list[str], label: str
) -> None:
    axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_title(label, fontsize=9)
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    for (row, column), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{value:.3f}"
        colour = "white" if np.isnan(value) or value < 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)


def scores_over_number(line: Line) -> pd.DataFrame:
    """Return scores of one detector on one dataset by number of true lines in a frame."""
    assert line.scores is not None
    table = line.scores.per_frame
    number = table["true_lines"].to_numpy(float)
    step = np.maximum(np.ceil(number / STEP), 1).astype(int)
    rows = []
    for k in np.unique(step[number > 0]):
        part = table[(step == k) & (number > 0)]
        true, found = part["true_lines"].sum(), part["predicted_lines"].sum()
        quality = (part["line_score"] * part["true_lines"]).sum()
        matched = part["matched_lines"].sum()
        rows.append(
            {
                "least_lines": (k - 1) * STEP + 1,
                "most_lines": k * STEP,
                "frames": len(part),
                "mean_lines": true / len(part),
                "score": quality / true,
                "precision": matched / found if found else np.nan,
                "recall": matched / true,
            }
        )
    columns = ["least_lines", "most_lines", "frames", "mean_lines", "score", "precision", "recall"]
    return pd.DataFrame(rows, columns=columns)


def _over_number(lines: Sequence[Line], styles: Mapping[str, Style]) -> Finding:
    title = f"Lines: score against the number of lines in a frame, frames in steps of {STEP} lines"
    figure = Figure(figsize=(10, 3.8), dpi=150, layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = [figure.add_subplot(1, 2, k + 1) for k in range(2)]
    tables = []
    datasets = list(dict.fromkeys(line.dataset for line in lines))
    for line in lines:
        table = scores_over_number(line)
        tables.append(table.assign(detector=line.detector, dataset=line.dataset))
        style = styles[line.detector]
        dash = DASHES[datasets.index(line.dataset) % len(DASHES)]
        label = f"{line.detector}, {line.dataset}"
        for axes, name in zip(panels, ("score", "precision"), strict=True):
            axes.plot(
                table["mean_lines"], table[name], dash, marker=style.mark, color=style.colour,
                markersize=3.5, linewidth=1.2, label=label,
            )  # fmt: skip
    for axes, name in zip(panels, ("Score (P1)", "Precision"), strict=True):
        axes.set(xlabel="True lines in a frame, mean of the step", ylabel=name, ylim=(0, 1.02))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
    panels[0].legend(frameon=False, fontsize=7)
    return Finding("line-score-over-number", title, pd.concat(tables, ignore_index=True), figure)
