"""Length of dislocations by area and volume: the dislocation density, and how long lines are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from defectscope import Analysis, Finding, KeyNumber, Options, Tables
from defectscope.analysis.axes import new_figure, series_axis, type_colour
from defectscope.analysis.counting import scaled_limits
from defectscope.analysis.detector_scores import mask_note
from defectscope.analysis.line_courses import Course, courses
from defectscope.core.fields import Fields, counted_fields
from defectscope.core.geometry.polylines import polyline_length, polyline_resample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LineDensity", "LineDensityOptions", "line_density_table"]

# A line counts as far as so many places along it lie in the field.
PLACES = 100
# Segments in all directions alike show π/4 of their length on average.
RANDOM_DIRECTIONS = 4 / math.pi
QUANTITIES = {
    "length_px": ("Length of lines a frame", "px"),
    "length_per_area_per_m": ("Length of lines by area", "1/m"),
    "dislocation_density_per_m2": ("Dislocation density", "1/m²"),
}


class LineDensityOptions(Options):
    """Options of the analysis ``line-density``."""

    projection: Literal["as-seen", "random"] = Field(
        "as-seen",
        description="as-seen: the length in the image; random: 4/π of it, the length of lines in "
        "all directions alike of which the image shows a projection",
    )


def line_density_table(
    tables: Tables, lines: list[Course], projection: Literal["as-seen", "random"] = "as-seen"
) -> pd.DataFrame:
    """Return the length of lines in each frame, and their density.

    Parameters
    ----------
    tables
        Frames that could not be read have no row.
    lines
        Of all frames.
    projection
        See :class:`LineDensityOptions`.

    Returns
    -------
    DataFrame
        ``frame``, ``time_s``, ``dose_dpa``, ``lines`` (with a part in the field), ``length_px``
        (of all those parts, px), ``area_px`` (of the field, px²); with a known pixel size
        ``length_per_area_per_m``, with a known foil thickness ``dislocation_density_per_m2``,
        length / (area · thickness). Each length and density has a standard error (``_error``) and
        95 % limits (``_low``, ``_high``).

    Notes
    -----
    The errors are those of a Poisson process of lines with lengths L: their sum has the variance
    ΣL². A frame without a line has the upper limit of one with lines of the mean length. Lines that
    the detector misses, cuts or invents are not corrected for.
    """
    frames = tables.frames[tables.frames["status"] == "ok"]
    fields = counted_fields(tables)
    table = frames[["frame", "time_s", "dose_dpa"]].reset_index(drop=True)
    factor = RANDOM_DIRECTIONS if projection == "random" else 1.0
    lengths = factor * np.array([_inside(line, fields) for line in lines])
    row = fields.rows(pd.DataFrame({"frame": [line.frame for line in lines]}, dtype=np.int64))
    counted = (row >= 0) & (lengths > 0) if len(lines) else np.zeros(0, bool)
    lengths, row = lengths[counted], row[counted]
    number, total, squares = (
        np.bincount(row, weights, len(table)) for weights in (None, lengths, lengths**2)
    )
    table["lines"], table["area_px"] = number.astype(np.int64), fields.areas_px
    typical = float(lengths.mean()) if len(lengths) else math.nan
    weight = np.divide(squares, total, out=np.full(len(table), typical), where=total > 0)
    low, high = scaled_limits(total / weight, weight)
    table["length_px"], table["length_px_error"] = total, np.sqrt(squares)
    table["length_px_low"], table["length_px_high"] = low, high
    size, thickness = tables.calibration.pixel_size_nm, tables.calibration.thickness_nm
    if size is not None:
        extents = {"length_per_area_per_m": table["area_px"] * size * 1e-9}
        if thickness is not None:
            per_area = extents["length_per_area_per_m"]
            extents["dislocation_density_per_m2"] = per_area * thickness * 1e-9
        for quantity, extent in extents.items():
            for suffix in ("", "_error", "_low", "_high"):
                table[quantity + suffix] = table[f"length_px{suffix}"] / extent
    return table


def _inside(line: Course, fields: Fields) -> float:
    """Return the length of a line inside the field of its frame, px."""
    x, y = polyline_resample(line.points, PLACES).T
    places = pd.DataFrame({"frame": line.frame, "x": x, "y": y})
    return float(polyline_length(line.points) * fields.hold(places).mean())


class LineDensity(Analysis):
    """Length of dislocations by area and volume with 95 % limits, and their lengths.

    A density of dislocations is their length by volume; their number depends on how often lines
    are interrupted.
    """

    Options = LineDensityOptions
    options: LineDensityOptions
    needs_geometry = True
    shapes = ("line",)

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none without lines."""
        lines = courses(tables, self.runtime.defect_types)
        if not lines:
            return []
        table = line_density_table(tables, lines, self.options.projection)
        quantity = next(name for name in reversed(QUANTITIES) if name in table)
        label, unit = QUANTITIES[quantity]
        figure, (left, right) = new_figure(2)
        axis, axis_label = series_axis(table)
        x, y, low, high = (
            table[name].to_numpy(float)
            for name in (axis, quantity, f"{quantity}_low", f"{quantity}_high")
        )
        left.errorbar(
            x, y, yerr=[y - low, high - y], color=type_colour(0), marker="o", markersize=3,
            linewidth=1, capsize=2, label="95 % limits",
        )  # fmt: skip
        left.set(xlabel=axis_label, ylabel=f"{label} ({unit})")
        if len(x) == 1 and axis == "frame":
            left.set(xlabel="", xticks=[])
        left.set_ylim(bottom=0)
        left.legend(frameon=False)
        _draw_lengths(right, lines, tables.calibration.pixel_size_nm)
        last = table.iloc[-1]
        key = KeyNumber(
            f"{label} in frame {int(last['frame'])}", float(last[quantity]), unit,
            float(last[f"{quantity}_low"]), float(last[f"{quantity}_high"]),
        )  # fmt: skip
        notes = (
            "Lengths are those of the projection in the image."
            if self.options.projection == "as-seen"
            else "Lengths are 4/π of those in the image, as of lines in all directions alike.",
            mask_note(counted_fields(tables)),
        )
        title = "Dislocation density" if unit == "1/m²" else "Length of dislocations"
        return [
            Finding("line-density", title, table, figure, (key,), " ".join(filter(None, notes)))
        ]


def _draw_lengths(panel: Axes, lines: list[Course], pixel_size_nm: float | None) -> None:
    lengths = np.array([polyline_length(line.points) for line in lines]) * (pixel_size_nm or 1.0)
    panel.hist(lengths, "sturges", color=type_colour(0), alpha=0.6)
    panel.set(xlabel=f"Length ({'nm' if pixel_size_nm else 'px'})", ylabel="Lines of all frames")
