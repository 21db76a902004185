"""What figures share: the axis of dose, time or frame, and a plain style."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from defectscope.core.series_column import series_column

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from defectscope import DefectType

__all__ = [
    "SeriesStyle",
    "axis_note",
    "new_figure",
    "series_axis",
    "series_styles",
    "short_names",
    "type_colour",
    "whole_ticks",
]

LABELS = {"dose_dpa": "Dose (dpa)", "time_s": "Time (s)", "frame": "Frame"}
# Okabe and Ito's palette, for types that are not registered or share a colour with another.
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2")
# Of a longer name there is no room below an axis.
LONGEST_NAME = 24


class SeriesStyle(NamedTuple):
    """How the series of one defect type is drawn."""

    title: str
    colour: str


def series_axis(frames: pd.DataFrame) -> tuple[str, str]:
    """Return the column to plot against, and its label: dose, else time, else frame.

    The same for all of several frames, or unknown of one, it is nothing to plot against.
    """
    name = series_column(frames)
    return name, LABELS[name]


def new_figure(
    columns: int = 1, width: float = 5.2, height: float = 3.8
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `columns` panels side by side; no window, no global state."""
    # Matplotlib takes a second to import: those who want no figure do without.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height), dpi=150, layout="constrained")
    axes = [figure.add_subplot(1, columns, k + 1) for k in range(columns)]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def axis_note(panel: Axes, text: str) -> None:
    """Say above a panel what its bands, bars or lines are: a figure is read without its page."""
    panel.set_title(text, loc="left", fontsize="small", color="0.35")


def whole_ticks(axis: Axis) -> None:
    """Put ticks at whole numbers only, for what is counted."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def short_names(names: Sequence[str]) -> list[str]:
    """Return names of images that find room below an axis.

    Where one is too long, all lose the words that they begin and end with alike; what is still
    too long loses its middle.
    """
    if max(map(len, names), default=0) <= LONGEST_NAME:
        return list(names)
    # A number is not cut in two: 0012 is not 12 where another is 0112.
    start = re.sub(r"[^\W_]+$", "", _common_start(names))
    rest = [name.removeprefix(start) for name in names]
    end = _common_start([name[::-1] for name in rest])[::-1]
    end = re.sub(r"^[^\W_]+", "", end)
    differing = [name.removesuffix(end) for name in rest]
    shown = differing if all(differing) else list(names)
    half = (LONGEST_NAME - 1) // 2
    return [
        name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}" for name in shown
    ]


def _common_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    differ = (k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return first[: next(differ, len(first))]


def type_colour(position: int) -> str:
    """Return the colour of the `position`-th series."""
    return PALETTE[position % len(PALETTE)]


def series_styles(names: Iterable[str], types: Mapping[str, DefectType]) -> dict[str, SeriesStyle]:
    """Return title and colour of the series of each defect type, as its registration says.

    A type that is not registered keeps its name for a title. Two series get one colour only
    where there are more of them than colours.
    """
    wanted = list(names)
    own = {name: types[name].colour.lower() for name in wanted if name in types}
    spare = [colour for colour in PALETTE if colour not in own.values()]
    styles: dict[str, SeriesStyle] = {}
    for name in wanted:
        colour = own.get(name)
        if colour is None or any(style.colour == colour for style in styles.values()):
            colour = spare.pop(0) if spare else type_colour(len(styles))
        styles[name] = SeriesStyle(types[name].title if name in types else name, colour)
    return styles
