"""Values of each frame with their limits: over dose, time or frame, or side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.analysis.axes import SeriesStyle, axis_note, series_axis, short_names, whole_ticks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["FrameAxis", "SeriesPanel"]

# Points are marked, and images named, where there are fewer of them.
FEW, MOST_NAMES = 40, 12
# Beside each other: from one defect type to the next, in distances of two images.
APART = 0.12
# Bands of more types than these mix their colours, and their legend needs a place of its own.
MOST_BANDS = 3
MARKS, MOST_MARKS = "osD^vPX", 12


class FrameAxis:
    """Where the values of each frame stand along a figure.

    A series stands at its dose, else its time, else its frame indices. A single image has no such
    axis, and images of different sizes are no series: they stand side by side, in their order.

    Parameters
    ----------
    frames
        Rows of ``frames.csv``.
    """

    def __init__(self, frames: pd.DataFrame) -> None:
        read = frames[frames["status"] == "ok"] if "status" in frames else frames
        self._images = read.reset_index(drop=True)
        sides = [name for name in ("width_px", "height_px") if name in read]
        self.single = len(read) < 2
        self.unrelated = bool(sides) and len(read[sides].drop_duplicates()) > 1
        self.column, self._label = series_axis(read)

    @property
    def is_series(self) -> bool:
        """Whether neighbours follow each other, so that a line may join them."""
        return not (self.single or self.unrelated)

    def places(self, rows: pd.DataFrame) -> np.ndarray:
        """Return where the (n,) rows of a table with a column ``frame`` stand."""
        images = self._images.set_index("frame")
        if self.is_series:
            values = images.index.to_series() if self.column == "frame" else images[self.column]
        else:
            values = images.index.to_series()
            values[:] = range(len(values))
        return values.reindex(rows["frame"]).to_numpy(float)

    def where(self, frame: int, in_series: str = "in frame {}") -> str:
        """Return in which frame a number is, for its label.

        Parameters
        ----------
        frame
            Its index.
        in_series
            What to say where frames follow each other, or there is one alone.
        """
        if not self.unrelated or "source" not in self._images:
            return in_series.format(frame)
        source = self._images.loc[self._images["frame"] == frame, "source"].iloc[0]
        return f"in {source}, one of {len(self._images)} unrelated images"

    def label(self, panel: Axes) -> None:
        """Write the label of the axis, and the names of few images that are no series."""
        panel.set_xlabel(self._label if self.is_series else "" if self.single else "Image")
        if self.single:
            panel.set_xticks([])
            return
        if self.unrelated:
            panel.set_xlim(-0.5, len(self._images) - 0.5)
        if self.unrelated and len(self._images) <= MOST_NAMES:
            names = self._images["source" if "source" in self._images else "frame"].astype(str)
            panel.set_xticks(
                range(len(names)), short_names(names.tolist()), rotation=30, ha="right",
                fontsize="small",
            )  # fmt: skip
        elif self.unrelated or self.column == "frame":
            whole_ticks(panel.xaxis)


class SeriesPanel:
    """Draws values with limits: a line in a band over a series, else points with error bars.

    Parameters
    ----------
    panel
        Where to draw.
    frames
        Rows of ``frames.csv``.
    limits
        What bands and bars are, such as ``95 % limits``; stands above the panel.
    bars
        Whether error bars are wanted in a series, too.
    types
        How many defect types are drawn; of many, bands are outlines and marks differ.
    """

    def __init__(
        self, panel: Axes, frames: pd.DataFrame, limits: str, *, bars: bool = False, types: int = 1
    ) -> None:
        self.axis = FrameAxis(frames)
        self._panel, self._band = panel, self.axis.is_series and not bars
        self._crowded = types > MOST_BANDS
        self._titles: list[str] = []
        self.axis.label(panel)
        shown = "Thin lines" if self._crowded else "Band"
        axis_note(panel, f"{shown if self._band else 'Bars'}: {limits}")

    def draw(
        self, rows: pd.DataFrame, y: ArrayLike, low: ArrayLike, high: ArrayLike, style: SeriesStyle
    ) -> None:
        """Draw the values of one defect type.

        Parameters
        ----------
        rows
            Where they belong: a column ``frame``.
        y, low, high
            (n,) values and their limits.
        style
            Title and colour.
        """
        x, panel = self.axis.places(rows), self._panel
        value, below, above = (np.asarray(v, float) for v in (y, low, high))
        look: dict[str, Any] = {"color": style.colour, "label": style.title, "markersize": 3}
        self._titles.append(style.title)
        if self._band and len(x) > 1:
            self._draw_band(x, value, below, above, look)
            return
        order = len(self._titles)
        if self.axis.single:
            x = np.full(len(x), order - 1.0)
        elif not self.axis.is_series:
            x = x + APART * (order // 2) * (1 if order % 2 else -1)
        # Rounding must not put a limit on the wrong side; an unknown or endless one has no bar.
        reach = np.maximum(np.stack([value - below, above - value]), 0.0)
        reach = np.where(np.isfinite(reach), reach, np.nan)
        joined = "-" if self.axis.is_series else "none"
        panel.errorbar(x, value, reach, marker=self._mark(), linestyle=joined, linewidth=1,
                       capsize=3, **look)  # fmt: skip
        if self.axis.single:
            panel.set_xticks(range(order), self._titles, rotation=20 if order > 3 else 0)
            panel.set_xlim(-0.6, order - 0.4)

    def _draw_band(
        self, x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray, look: dict[str, Any]
    ) -> None:
        panel, colour = self._panel, look["color"]
        if not self._crowded:
            panel.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
            panel.plot(x, y, marker="o" if len(x) < FEW else "", linewidth=1, **look)
            return
        for side in (low, high):
            panel.plot(x, side, color=colour, alpha=0.5, linewidth=0.5)
        # Marks of different types stand at different frames, where there are many of these.
        every = -(-len(x) // MOST_MARKS)
        marks = {"marker": self._mark(), "markevery": (len(self._titles) % every, every)}
        panel.plot(x, y, linewidth=1.4, **(look | marks | {"markersize": 4}))

    def _mark(self) -> str:
        return MARKS[(len(self._titles) - 1) % len(MARKS)] if self._crowded else "o"

    def legend(self) -> None:
        """Name the colours, where nothing else does."""
        if not self._titles or self.axis.single:
            return
        figure = self._panel.get_figure()
        if self._crowded and figure is not None:
            handles, titles = self._panel.get_legend_handles_labels()
            figure.legend(
                handles, titles, loc="outside lower center", ncols=3, frameon=False,
                fontsize="small",
            )  # fmt: skip
        else:
            self._panel.legend(frameon=False)
