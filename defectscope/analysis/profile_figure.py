"""The figure of a profile comparison: both images, a line's profiles, and the mean of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.analysis.axes import type_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from defectscope.analysis.profile_comparison import ProfileComparison
    from defectscope.analysis.profile_tables import Profiled

__all__ = ["profile_figure"]

COLOURS = {"real": "#222222", "twin": type_colour(4)}
LINE_COLOUR = type_colour(1)
CUT_COLOUR = type_colour(0)
# Figures need no more pixels of an image than this.
LONGEST_SHOWN_PX = 1200


def profile_figure(comparison: ProfileComparison) -> Figure:
    """Return the images with their lines, the profiles of one line, and the mean of all.

    The line shown is the longest that both images have.
    """
    from matplotlib.figure import Figure

    sides = {"real": comparison.real, "twin": comparison.twin}
    present = {name: side for name, side in sides.items() if side is not None}
    rows = len(present)
    figure = Figure(figsize=(4.2 * (4 - rows), 4.0 * rows), dpi=150, layout="constrained")
    panels = [figure.add_subplot(rows, 4 - rows, k + 1) for k in range(len(present) + 2)]
    example = _example(comparison)
    for panel, (name, side) in zip(panels, present.items(), strict=False):
        _show_image(panel, name, side, example, comparison.real.clear_place(example))
    single, mean = panels[-2:]
    profiles = comparison.profiles
    _show_profiles(single, profiles[profiles["line"] == example], present)
    single.set_title(f"Line {example}: one place (thin), mean along it", fontsize=9)
    _show_profiles(mean, profiles[profiles["kind"] == "mean"], present)
    mean.set_title("Mean of all lines", fontsize=9)
    return figure


def _example(comparison: ProfileComparison) -> int:
    table = comparison.lines
    usable = table["real_width_px"].notna()
    if comparison.twin is not None:
        usable &= table["twin_width_px"].notna()
    lengths = table["length_px"].where(usable, 0.0)
    return int(lengths.to_numpy(float).argmax())


def _show_image(panel: Axes, name: str, side: Profiled, example: int, share: float) -> None:
    height, width = side.pixels.shape
    step = max(1, -(-max(height, width) // LONGEST_SHOWN_PX))
    low, high = np.quantile(side.pixels, [0.002, 0.998]).tolist()
    panel.imshow(
        side.pixels[::step, ::step], cmap="gray", vmin=low, vmax=high, extent=(0, width, height, 0)
    )
    # The others stay bare: what they look like is what is to be compared.
    line, measured = side.lines[example], side.measured[example]
    if line is not None and measured is not None:
        panel.plot(*line.T, color=LINE_COLOUR, linewidth=0.9)
        panel.plot(*_cut(line, share, float(measured.ribbon.offsets_px[-1])), color=CUT_COLOUR)
    panel.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    panel.set_title(f"{name.capitalize()} ({width} x {height} px)", fontsize=9)


def _cut(line: NDArray[np.float64], share: float, reach_px: float) -> NDArray[np.float64]:
    """Return x and y of the ends of the cut across one place of a line."""
    place = round(share * (len(line) - 1))
    before, after = line[max(place - 1, 0)], line[min(place + 1, len(line) - 1)]
    along = (after - before) / np.hypot(*(after - before))
    normal = np.array([-along[1], along[0]])
    return np.stack([line[place] - reach_px * normal, line[place] + reach_px * normal], axis=1)


def _show_profiles(panel: Axes, rows: Any, present: dict[str, Profiled]) -> None:
    for name in present:
        for kind, group in rows.groupby("kind", sort=False):
            style: dict[str, Any] = {"linewidth": 1.8}
            if kind == "single":
                style = {"linewidth": 0.8, "alpha": 0.6}
            label = name if kind != "single" else None
            panel.plot(
                group["offset_px"], group[f"{name}_grey"], color=COLOURS[name], label=label, **style
            )
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.set(xlabel="Distance from the line (px)", ylabel="Grey (0 to 1)")
    panel.legend(frameon=False)
