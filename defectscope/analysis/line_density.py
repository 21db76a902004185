"""Length of dislocations by area and volume: the dislocation density, and how long lines are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from defectscope import Analysis, Finding, KeyNumber, Options, Tables
from defectscope.analysis.axes import SeriesStyle, new_figure, type_colour
from defectscope.analysis.counting import scaled_limits
from defectscope.analysis.detector_scores import field_note
from defectscope.analysis.line_courses import NO_COURSES, Course, courses
from defectscope.analysis.series import SeriesPanel
from defectscope.core.fields import Fields, counted_fields
from defectscope.core.geometry.polylines import polyline_length, polyline_resample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

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
    ΣL². A frame without a line has the upper limit of one with lines of the mean length. Densities
    are divided by the visible fraction of the type; lengths are as seen. Lines that the detector
    misses, cuts or invents are not corrected for.
    """
    frames = tables.frames[tables.frames["status"] == "ok"]
    fields = counted_fields(tables)
    table = frames[["frame", "time_s", "dose_dpa"]].reset_index(drop=True)
    factor = RANDOM_DIRECTIONS if projection == "random" else 1.0
    lengths = factor * np.array([_inside(line, fields) for line in lines], float)
    visible = np.array([tables.calibration.visible(line.defect_type) for line in lines], float)
    row = fields.rows(pd.DataFrame({"frame": [line.frame for line in lines]}, dtype=np.int64))
    counted = (row >= 0) & (lengths > 0)
    lengths, visible, row = lengths[counted], visible[counted], row[counted]
    table["lines"], table["area_px"] = np.bincount(row, minlength=len(table)), fields.areas_px
    for suffix, values in _summed(lengths, row, len(table)).items():
        table[f"length_px{suffix}"] = values
    size, thickness = tables.calibration.pixel_size_nm, tables.calibration.thickness_nm
    if size is not None:
        true = _summed(lengths / visible, row, len(table))
        extents = {"length_per_area_per_m": table["area_px"] * size * 1e-9}
        if thickness is not None:
            per_area = extents["length_per_area_per_m"]
            extents["dislocation_density_per_m2"] = per_area * thickness * 1e-9
        for quantity, extent in extents.items():
            for suffix, values in true.items():
                table[quantity + suffix] = values / extent
    return table


def _summed(
    lengths: NDArray[np.float64], row: NDArray[np.intp], rows: int
) -> dict[str, NDArray[np.float64]]:
    """Return the sum of lengths by row, with its error and limits, by the end of their names."""
    total, squares = (np.bincount(row, weights, rows) for weights in (lengths, lengths**2))
    typical = float(lengths.mean()) if len(lengths) else math.nan
    weight = np.divide(squares, total, out=np.full(rows, typical), where=total > 0)
    low, high = scaled_limits(total / weight, weight)
    return {"": total, "_error": np.sqrt(squares), "_low": low, "_high": high}


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
        series = SeriesPanel(left, tables.frames, "95 % limits", bars=True)
        low, high = (table[f"{quantity}_{end}"] for end in ("low", "high"))
        series.draw(table, table[quantity], low, high, SeriesStyle("lines", type_colour(0)))
        left.set_ylabel(f"{label} ({unit})")
        left.set_ylim(bottom=0)
        _draw_lengths(right, lines, tables.calibration.pixel_size_nm)
        last = table.iloc[-1]
        key = KeyNumber(
            f"{label} {series.axis.where(int(last['frame']))}", float(last[quantity]), unit,
            float(last[f"{quantity}_low"]), float(last[f"{quantity}_high"]),
        )  # fmt: skip
        notes = (
            "Lengths are those of the projection in the image."
            if self.options.projection == "as-seen"
            else "Lengths are 4/π of those in the image, as of lines in all directions alike.",
            field_note(tables),
        )
        title = "Dislocation density" if unit == "1/m²" else "Length of dislocations"
        return [
            Finding("line-density", title, table, figure, (key,), " ".join(filter(None, notes)))
        ]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        return NO_COURSES


def _draw_lengths(panel: Axes, lines: list[Course], pixel_size_nm: float | None) -> None:
    lengths = np.array([polyline_length(line.points) for line in lines]) * (pixel_size_nm or 1.0)
    panel.hist(lengths, "sturges", color=type_colour(0), alpha=0.6)
    panel.set(xlabel=f"Length ({'nm' if pixel_size_nm else 'px'})", ylabel="Lines of all frames")
