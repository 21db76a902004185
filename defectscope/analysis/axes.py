"""What figures share: the axis of dose, time or frame, and a plain style."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["new_figure", "series_axis", "type_colour"]

LABELS = {"dose_dpa": "Dose (dpa)", "time_s": "Time (s)", "frame": "Frame"}
# Okabe and Ito's palette, for types that are registered without a colour.
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2")


def series_axis(frames: pd.DataFrame) -> tuple[str, str]:
    """Return the column to plot against, and its label: dose, else time, else frame."""
    for name in ("dose_dpa", "time_s"):
        if name in frames and frames[name].notna().any():
            return name, LABELS[name]
    return "frame", LABELS["frame"]


def new_figure(
    columns: int = 1, width: float = 5.2, height: float = 3.8
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `columns` panels side by side; no window, no global state."""
    figure = Figure(figsize=(width * columns, height), dpi=150, layout="constrained")
    axes = [figure.add_subplot(1, columns, k + 1) for k in range(columns)]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def type_colour(position: int) -> str:
    """Return the colour of the `position`-th series."""
    return PALETTE[position % len(PALETTE)]
