"""Figure of a benchmark on noisy frames: F1 against the level of each kind of noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure

from defectscope.core.findings import Finding
from defectscope.pipeline.noisy_frames import NOISES, UNITS

if TYPE_CHECKING:
    from defectscope.pipeline.benchmark_results import Line
    from defectscope.pipeline.benchmark_styles import Style

__all__ = ["noise_findings", "noise_table"]

COLUMNS = ["detector", "dataset", "of", "noise", "level", "f1", "f1_low", "f1_high", "lost"]


def noise_table(lines: Sequence[Line], datasets: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row for each detector, dataset and level of noise; none without noisy frames.

    Parameters
    ----------
    lines
        Of the benchmark; those that failed have no F1.
    datasets
        What :meth:`BenchmarkData.as_dict` says of each.

    Returns
    -------
    With `COLUMNS`: `noise` is empty on the frames as they are, `lost` is the part of F1 there that
    is gone.
    """
    noise = {one["name"]: one.get("noise") for one in datasets}
    spoilt = {about["of"] for about in noise.values() if about}
    clean = {
        (line.detector, line.dataset): line.row()["f1"] for line in lines if line.dataset in spoilt
    }
    rows = []
    for line in lines:
        about = noise.get(line.dataset) or {"of": line.dataset, "kind": "", "level": None}
        if about["of"] not in spoilt:
            continue
        row, before = line.row(), clean.get((line.detector, about["of"]))
        lost = 1 - row["f1"] / before if before and row["f1"] is not None else None
        rows.append((line.detector, line.dataset, about["of"], about["kind"], about["level"],
                     row["f1"], row["f1_low"], row["f1_high"], lost))  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def noise_findings(
    table: pd.DataFrame | None, iou: float, styles: Mapping[str, Style]
) -> list[Finding]:
    """Return the figure with its table; none without noisy frames.

    Parameters
    ----------
    table
        See :func:`noise_table`.
    iou
        Overlap that a match needs.
    styles
        Of each detector.
    """
    if table is None or table["f1"].notna().sum() == 0:
        return []
    sources = list(dict.fromkeys(table["of"]))
    title = f"F1 against added noise, IoU at least {iou:g} (shaded: 95 % limits)"
    figure = Figure(figsize=(12.5, 3.6 * len(sources) + 0.6), dpi=150, layout="constrained")
    figure.suptitle(title, fontsize=10)
    for row, source in enumerate(sources):
        for column, kind in enumerate(NOISES):
            axes = figure.add_subplot(len(sources), len(NOISES), row * len(NOISES) + column + 1)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.25, linewidth=0.6)
            own = table[(table["of"] == source) & table["noise"].isin(["", kind])]
            _draw(axes, own, ["none", *(f"{level:g}" for level in NOISES[kind])], styles)
            axes.set_title(f"{source}: {kind}", fontsize=9)
            axes.set_xlabel(UNITS[kind], fontsize=8)
            axes.set_ylabel("F1")
    return [Finding("f1-over-noise", title, table, figure)]


def _draw(axes: Any, table: pd.DataFrame, labels: list[str], styles: Mapping[str, Style]) -> None:
    for detector, own in table.groupby("detector", sort=False):
        style = styles[str(detector)]
        shown = own.assign(label=["none" if pd.isna(v) else f"{v:g}" for v in own["level"]])
        shown = shown.set_index("label").reindex(labels)[["f1", "f1_low", "f1_high"]].astype(float)
        places = range(len(labels))
        axes.plot(places, shown["f1"], f"-{style.mark}", color=style.colour,
                  label=detector, linewidth=1.5, markersize=4)  # fmt: skip
        axes.fill_between(places, shown["f1_low"], shown["f1_high"], color=style.colour,
                          alpha=0.15, linewidth=0)  # fmt: skip
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
