"""Mean distance of neighbouring dislocations of a pile-up against frame (P1, Fig. 15)."""

from __future__ import annotations

from collections import Counter
from itertools import count, groupby

import numpy as np
import pandas as pd
from pydantic import Field

from defectscope import Analysis, Finding, Options, Tables
from defectscope.analysis.axes import SeriesStyle, new_figure, series_axis, type_colour
from defectscope.analysis.line_courses import NO_COURSES, Course, Pileup, courses, pileups
from defectscope.analysis.series import SeriesPanel

__all__ = ["LineSpacing", "LineSpacingOptions"]

# Pile-ups that are drawn in a colour of their own; the others are in the table.
DRAWN = 6
COLUMNS = ["frame", "pileup", "lines", "mean_distance_px", "standard_error_px", "mean_distance_nm",
           "standard_error_nm", "detections"]  # fmt: skip


class LineSpacingOptions(Options):
    """Options of ``line-spacing``."""

    reach_px: float = Field(
        80.0, gt=0, le=10_000, description="largest distance of neighbours in a pile-up, px"
    )
    least_lines: int = Field(
        3, ge=2, description="fewer lines side by side in a frame are no pile-up there"
    )
    turn_deg: float = Field(
        35.0, gt=0, le=90, description="largest difference of direction of neighbours, deg"
    )


class LineSpacing(Analysis):
    """Pile-ups, how many lines they have, and the mean distance of neighbouring ones.

    The table names the detections of each, from one side of it to the other. Neighbours lie side by
    side; pieces of a line that lie end to end, next to each other in the table, count as one. Where
    lines were tracked, a pile-up goes on in the one of the next frame that shares most lines with
    it, and only there; otherwise pile-ups are numbered in each frame by their number of lines.
    """

    Options = LineSpacingOptions
    options: LineSpacingOptions
    needs_geometry = True
    shapes = ("line",)

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none where no frame has enough lines side by side."""
        lines = courses(tables, self.runtime.defect_types)
        found: list[tuple[int, list[Course], Pileup]] = []
        least = self.options.least_lines
        for frame, members in groupby(lines, key=lambda line: line.frame):
            here = list(members)
            here_found = pileups(here, self.options.reach_px, self.options.turn_deg)
            found += [(frame, here, one) for one in here_found if len(one.members) >= least]
        if not found:
            return []
        names = _names(found)
        size = tables.calibration.pixel_size_nm
        rows = []
        for (frame, here, pileup), name in zip(found, names, strict=True):
            apart = np.array(pileup.distances())
            error = float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else np.nan
            mean = float(apart.mean())
            rows.append(
                {"frame": frame, "pileup": name, "lines": len(pileup.members),
                 "mean_distance_px": mean, "standard_error_px": error,
                 "mean_distance_nm": mean * size if size else np.nan,
                 "standard_error_nm": error * size if size else np.nan,
                 "detections": " ".join(str(here[k].detection) for k in pileup.positions)}
            )  # fmt: skip
        table = pd.DataFrame(rows, columns=COLUMNS).sort_values(["pileup", "frame"], kind="stable")
        return [self._finding(table.reset_index(drop=True), tables)]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        if not courses(tables, self.runtime.defect_types):
            return NO_COURSES
        return f"no frame has {self.options.least_lines} lines side by side"

    def _finding(self, table: pd.DataFrame, tables: Tables) -> Finding:
        column, _ = series_axis(tables.frames)
        if column != "frame":
            table = table.merge(tables.frames[["frame", column]], on="frame", how="left")
        unit = "nm" if table["mean_distance_nm"].notna().any() else "px"
        figure, (axes,) = new_figure()
        series = SeriesPanel(axes, tables.frames, "standard error", bars=True)
        counts = table.groupby("pileup")["frame"].count().sort_values(ascending=False)
        for k, name in enumerate(counts.index[:DRAWN]):
            part = table[table["pileup"] == name]
            mean, error = part[f"mean_distance_{unit}"], part[f"standard_error_{unit}"]
            style = SeriesStyle(f"pile-up {name}", type_colour(k))
            series.draw(part, mean, mean - error, mean + error, style)
        axes.set_ylabel(f"Mean distance of neighbours ({unit})")
        axes.set_ylim(bottom=0)
        series.legend()
        title = "Distance of neighbouring dislocations in pile-ups"
        return Finding("line-spacing", title, table, figure)


def _names(found: list[tuple[int, list[Course], Pileup]]) -> list[int]:
    """Return the number of each pile-up of all frames, by frame."""
    particles = [
        [p for k in pileup.positions if (p := here[k].particle) >= 0] for _, here, pileup in found
    ]
    if not any(particles):
        return _by_size(found)
    names, free = [-1] * len(found), count()
    # The number of the pile-up in which a line was last.
    last: dict[int, int] = {}
    for _, group in groupby(range(len(found)), key=lambda k: found[k][0]):
        here = list(group)
        shared = [
            (-number, name, k)
            for k in here
            for name, number in Counter(last[p] for p in particles[k] if p in last).items()
        ]
        # One to one, those that share most lines first.
        taken = set[int]()
        for _, name, k in sorted(shared):
            if names[k] < 0 and name not in taken:
                names[k] = name
                taken.add(name)
        for k in here:
            names[k] = names[k] if names[k] >= 0 else next(free)
            last |= dict.fromkeys(particles[k], names[k])
    return names


def _by_size(found: list[tuple[int, list[Course], Pileup]]) -> list[int]:
    names = [0] * len(found)
    positions = range(len(found))
    for _, group in groupby(positions, key=lambda k: found[k][0]):
        ranked = sorted(group, key=lambda k: (-len(found[k][2].members), k))
        for number, k in enumerate(ranked):
            names[k] = number
    return names
