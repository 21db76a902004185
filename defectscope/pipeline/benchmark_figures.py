"""Figures of a benchmark: F1 over overlap and over score, and speed against F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from defectscope.core.findings import Finding
from defectscope.pipeline.benchmark_styles import Style, detector_styles
from defectscope.pipeline.line_figures import line_findings
from defectscope.pipeline.noise_figures import noise_findings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from defectscope.pipeline.benchmark_results import Line

__all__ = ["benchmark_findings"]

COLUMNS = 3
PANEL_IN = (4.6, 3.6)


def benchmark_findings(
    lines: Sequence[Line], iou: float, noise: pd.DataFrame | None = None
) -> list[Finding]:
    """Return the figures, each with the table behind it; none where nothing was finished.

    Parameters
    ----------
    lines
        One for each detector and dataset; those that failed are left out.
    iou
        Overlap that a match needs in all figures but the one over the overlap.
    noise
        Scores on noisy frames, see :attr:`Benchmark.noise`; their lines are in no other figure.
    """
    spoilt = set() if noise is None else set(noise["dataset"]) - set(noise["of"])
    finished = [li for li in lines if li.scores is not None and li.dataset not in spoilt]
    if not finished:
        return []
    styles = detector_styles(line.detector for line in lines)
    title = f"F1 over the least score of a detection, IoU at least {iou:g}"
    findings = [
        _curves(
            "f1-over-iou", "F1 over the overlap that a match needs", "iou", finished, styles, iou
        ),
        _curves("f1-over-score", title, "score", finished, styles, None),
        _speed("speed-against-f1", f"Speed against F1, IoU at least {iou:g}", finished, styles),
    ]
    return findings + line_findings(finished, styles) + noise_findings(noise, iou, styles)


def _panels(lines: Sequence[Line], title: str) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure with a panel for each dataset."""
    names = list(dict.fromkeys(line.dataset for line in lines))
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    size = (PANEL_IN[0] * columns + 0.6, PANEL_IN[1] * rows + 0.7)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = {}
    for number, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, columns, number)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
        frames = next(line.frame_count for line in lines if line.dataset == name)
        axes.set_title(f"{name} ({frames} frame{'s' if frames > 1 else ''})", fontsize=9)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("F1")
        panels[name] = axes
    return figure, panels


def _limits(shown: str, lines: Sequence[Line]) -> list[str]:
    """Return what bands or bars are, where there are any."""
    known = any(line.row()["f1_low"] is not None for line in lines)
    return [f"{shown}: 95 % limits"] if known else []


def _explained(title: str, notes: Sequence[str]) -> str:
    return f"{title}\n({'; '.join(notes)})" if notes else title


def _curves(
    name: str,
    title: str,
    column: str,
    lines: Sequence[Line],
    styles: Mapping[str, Style],
    marked: float | None,
) -> Finding:
    notes = _limits("shaded", lines)
    if marked is not None:
        notes.append(f"dotted: {marked:g}, that of the other figures")
    figure, panels = _panels(lines, _explained(title, notes))
    tables = []
    for line in lines:
        assert line.scores is not None
        table = line.scores.over_iou if column == "iou" else line.scores.over_score
        tables.append(
            table.assign(detector=line.detector, dataset=line.dataset)[
                ["detector", "dataset", *table.columns]
            ]
        )
        axes, style = panels[line.dataset], styles[line.detector]
        x = table[column].to_numpy()
        axes.fill_between(
            x, table["f1_low"], table["f1_high"], color=style.colour, alpha=0.15, linewidth=0
        )
        axes.plot(
            x, table["f1"], style.dash, color=style.colour, linewidth=1.5, label=line.detector
        )
    for axes in panels.values():
        if marked is not None:
            axes.axvline(marked, color="0.5", linewidth=0.8, linestyle=":")
        axes.set_xlabel("IoU that a match needs" if column == "iou" else "Least score")
        axes.legend(frameon=False, fontsize=8)
    return Finding(name, title, pd.concat(tables, ignore_index=True), figure)


def _speed(name: str, title: str, lines: Sequence[Line], styles: Mapping[str, Style]) -> Finding:
    figure, panels = _panels(lines, _explained(title, _limits("bars", lines)))
    rows = []
    for line in lines:
        row = line.row()
        rows.append(row)
        if row["f1"] is None:
            continue
        low, high = row["f1_low"], row["f1_high"]
        bars = None if low is None else [[max(0, row["f1"] - low)], [max(0, high - row["f1"])]]
        style = styles[line.detector]
        panels[line.dataset].errorbar(
            [row["frames_per_s"]], [row["f1"]], yerr=bars, color=style.colour, marker=style.mark,
            markersize=7, markerfacecolor="none", linewidth=1.2, capsize=3, linestyle="",
            label=line.detector,
        )  # fmt: skip
    for axes in panels.values():
        axes.set_xlabel("Frames a second")
        _logarithmic(axes)
    # Points may be anywhere in a panel: the legend stands outside.
    handles = {
        label: handle
        for axes in panels.values()
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", frameon=False, fontsize=8,
            ncols=min(2 * COLUMNS, 2 * len(panels)),
        )  # fmt: skip
    names = ["detector", "dataset", "f1", "f1_low", "f1_high", "frames_per_s",
             "latency_median_ms", "peak_memory_mib"]  # fmt: skip
    return Finding(name, title, pd.DataFrame(rows)[names], figure)


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log")
    # Two detectors of one speed must not fill the width with a hundredth of a decade.
    low, high = axes.get_xlim()
    middle = (low * high) ** 0.5
    axes.set_xlim(min(low, middle / 3), max(high, 3 * middle))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
