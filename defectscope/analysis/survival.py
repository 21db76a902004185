"""How long particles live, with those that outlived what was seen of them; how many come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope import Analysis, Calibration, Finding, KeyNumber, Tables
from defectscope.analysis.axes import LABELS, axis_note, new_figure, type_colour, whole_ticks
from defectscope.analysis.life_tables import (
    MedianLife,
    life_spans,
    median_life,
    survival_table,
    turnover_table,
)
from defectscope.analysis.scales import growth_axis, untracked

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Survival"]


class Survival(Analysis):
    """Share of particles that live longer than a time, median life, and how many come and go."""

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return two findings; none where no particle was seen to begin."""
        if tables.tracks is None or tables.tracks.empty:
            return []
        lives = life_spans(tables)
        born = lives[lives["began"]]
        if born.empty:
            return []
        table = survival_table(born["life_frames"], born["ended"])
        turnover = turnover_table(lives, tables.frames[tables.frames["status"] == "ok"])
        figure, (left, right) = new_figure(2)
        median = median_life(table)
        _draw_survival(left, table, median)
        _draw_turnover(right, turnover, growth_axis(tables)[0])
        numbers = (*_medians(median, tables.calibration),
                   KeyNumber("Particles seen to begin", float(len(born))),
                   KeyNumber("Particles seen to end", float(lives["ended"].sum())))  # fmt: skip
        for unit, each in _units(tables.calibration).items():
            table.insert(1, f"life_{unit}", table["life_frames"] * each)
        title = "Survival of particles"
        return [
            Finding(
                "survival",
                title,
                table,
                figure,
                numbers,
                _note(lives, median, tables.masked is not None),
            ),
            Finding("particle-turnover", "Particles that come and go", turnover),
        ]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        return untracked(tables) or (
            "no particle was seen to begin: all were there in the first frame, or "
            f"{_came_in(tables.masked is not None)}"
        )


def _units(calibration: Calibration) -> dict[str, float]:
    """Return what a frame is, in each unit in which frames are as far apart everywhere."""
    known = {"s": calibration.frame_interval_s, "dpa": calibration.dose_per_frame_dpa}
    if (table := calibration.frame_times) is not None:
        for unit, name in (("s", "time_s"), ("dpa", "dose_dpa")):
            known[unit] = known[unit] if getattr(table, name) is None else table.step(name)
    return {unit: each for unit, each in known.items() if each}


def _medians(median: MedianLife, calibration: Calibration) -> tuple[KeyNumber, ...]:
    if median.frames is None:
        return ()
    limits = (median.low, median.high)
    return tuple(
        KeyNumber("Median life", median.frames * each, unit,
                  *(None if end is None else end * each for end in limits))
        for unit, each in {"frames": 1.0, **_units(calibration)}.items()
    )  # fmt: skip


def _came_in(masked: bool) -> str:
    return "came in over the rim" + (" or from under a mask" if masked else "")


def _note(lives: pd.DataFrame, median: MedianLife, masked: bool) -> str:
    began, ended = lives["began"], lives["ended"]
    text = (
        f"Of {len(lives)} particles the {int((~began).sum())} that were there in the first frame "
        f"or {_came_in(masked)} are left out; {int((began & ~ended).sum())} more were there in "
        f"the last frame or went out over the rim{' or under a mask' if masked else ''}, and count "
        "as long as they were seen. "
    )
    if median.frames is None:
        text += "More than half outlived what was seen of them: the median is not known. "
    return text + "How many come and go along the series: figures/particle-turnover.csv."


def _draw_survival(panel: Axes, table: pd.DataFrame, median: MedianLife) -> None:
    at = np.r_[0, table["life_frames"]]
    colour = type_colour(1)
    # Each value holds up to the next lifetime, also where the limits at that one are not known.
    low, high = (np.r_[1, table[f"survival_{end}"].fillna({0: 1}).ffill()]
                 for end in ("low", "high"))  # fmt: skip
    panel.fill_between(at, low, high, step="post", color=colour, alpha=0.25, linewidth=0)
    panel.step(at, np.r_[1, table["survival"]], where="post", color=colour, linewidth=1)
    panel.set(xlabel="Lifetime (frames)", ylabel="Share that lives longer", ylim=(0, 1.05))
    whole_ticks(panel.xaxis)
    dashed = "" if median.frames is None else f"; dashed: median, {median.frames:.0f} frames"
    if median.frames is not None:
        panel.axvline(median.frames, color="k", linewidth=1, linestyle="--")
    axis_note(panel, f"Band: 95 % limits{dashed}")


def _draw_turnover(panel: Axes, table: pd.DataFrame, axis: str) -> None:
    at = (table["first_frame"] + table["last_frame"]) / 2 if axis == "frame" else table[axis]
    for name, colour in (("born", type_colour(2)), ("gone", type_colour(4))):
        # The last bin may hold fewer frames than the others.
        panel.plot(at, table[name] / table["frames"], "-o", markersize=3, linewidth=1,
                   color=colour, label=name.capitalize())  # fmt: skip
    panel.set(xlabel=LABELS[axis], ylabel="Particles per frame")
    panel.set_ylim(bottom=0)
    panel.legend(frameon=False)
    most = int(table["frames"].max())
    axis_note(panel, f"Means of {most} frames each" if most > 1 else "Points: single frames")
