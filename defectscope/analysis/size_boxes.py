"""Box plots of the sizes in some frames, one box a defect type (P2, Fig. 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope import Finding
from defectscope.analysis.axes import axis_note, new_figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from defectscope.analysis.axes import SeriesStyle
    from defectscope.analysis.series import FrameAxis

__all__ = ["size_boxes"]

# Boxes that find room, and frames of which they are drawn.
MOST_BOXES, MOST_FRAMES = 36, 12


def size_boxes(
    groups: Mapping[str, pd.DataFrame],
    styles: Mapping[str, SeriesStyle],
    axis: FrameAxis,
    column: str,
) -> list[Finding]:
    """Return the figure with its table; none where fewer than two frames have a place.

    Parameters
    ----------
    groups
        Detections that were measured, by defect type.
    styles
        Title and colour of each type.
    axis
        Where the frames stand.
    column
        ``diameter_nm`` or ``diameter_px``.
    """
    frames = np.unique(np.concatenate([rows["frame"].to_numpy() for rows in groups.values()]))
    places = axis.places(pd.DataFrame({"frame": frames}))
    # Where dose or time is not known, nobody knows where a box belongs.
    frames, places = frames[np.isfinite(places)], places[np.isfinite(places)]
    if len(frames) < 2:
        return []
    drawn = min(MOST_FRAMES, max(2, MOST_BOXES // len(groups)))
    which = np.unique(np.linspace(0, len(frames) - 1, drawn).round().astype(int))
    chosen, places = frames[which], places[which]
    figure, (panel,) = new_figure()
    axis.label(panel)
    width = _box_width(places) / len(groups)
    tables, handles = [], []
    for k, (name, rows) in enumerate(groups.items()):
        own = np.isin(chosen, rows["frame"])
        beside = places[own] + width * (k - (len(groups) - 1) / 2)
        colour = styles[name].colour if len(groups) > 1 else "w"
        boxes, table = _draw(panel, rows, chosen[own], beside, width, colour, column)
        handles += boxes[:1]
        tables.append(table.assign(defect_type=name))
    panel.set_ylabel(f"Diameter ({column[-2:]})")
    panel.set_ylim(bottom=0)
    if len(groups) > 1:
        figure.legend(
            handles, [styles[name].title for name in groups], loc="outside lower center", ncols=3,
            frameon=False, fontsize="small",
        )  # fmt: skip
    axis_note(panel, "Box: quartiles; whiskers: 1.5 times the box at most")
    both = pd.concat(tables).sort_values("frame", kind="stable", ignore_index=True)
    both.insert(1, "defect_type", both.pop("defect_type"))
    return [Finding("size-boxes", "Sizes in some frames", both, figure)]


def _draw(
    panel: Axes, rows: pd.DataFrame, frames: NDArray[Any], places: NDArray[np.float64],
    width: float, colour: str, column: str,
) -> tuple[list[Any], pd.DataFrame]:  # fmt: skip
    """Draw the boxes of one defect type; return them, and their table."""
    sizes = [rows.loc[rows["frame"] == frame, column] for frame in frames]
    drawn = panel.boxplot(
        sizes, positions=places, widths=width, manage_ticks=False, patch_artist=True,
        flierprops={"markersize": 2}, medianprops={"color": "k"},
        boxprops={"facecolor": colour, "linewidth": 0.7},
    )  # fmt: skip
    unit = column[-2:]
    table = pd.DataFrame(
        {"frame": frames, "count": [len(values) for values in sizes],
         f"median_{unit}": [line.get_ydata()[0] for line in drawn["medians"]],
         f"first_quartile_{unit}": [values.quantile(0.25) for values in sizes],
         f"third_quartile_{unit}": [values.quantile(0.75) for values in sizes],
         f"low_whisker_{unit}": [w.get_ydata()[1] for w in drawn["whiskers"][::2]],
         f"high_whisker_{unit}": [w.get_ydata()[1] for w in drawn["whiskers"][1::2]]}
    )  # fmt: skip
    return drawn["boxes"], table


def _box_width(places: NDArray[np.float64]) -> float:
    """Return a width at which boxes are apart, but visible where two are close."""
    return max(0.6 * float(np.diff(places).min()), float(np.ptp(places)) / 60)
