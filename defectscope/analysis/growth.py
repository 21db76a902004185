"""Size of single particles against dose, with fitted growth laws (P2, Fig. 8), and rates of all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field

from defectscope import Analysis, Finding, KeyNumber, Options, Tables
from defectscope.analysis.axes import LABELS, axis_note, new_figure, type_colour
from defectscope.analysis.growth_fits import GrowthFit, fit_growth, growth_rates, mean_rate
from defectscope.analysis.scales import (
    growth_axis,
    sighted,
    size_column,
    unit_names,
    untracked,
    with_units,
)
from defectscope.analysis.whole_sizes import left_out_of_tracks, with_fitted_sizes
from defectscope.core.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Growth", "GrowthOptions"]

SINGLE = (
    "Errors and limits of single particles hold the scatter of sizes about their line or law only, "
    "not errors of the measured size that change as a loop grows."
)


class GrowthOptions(Options):
    """Options of the analysis ``growth``."""

    particles: tuple[int, ...] = Field(
        (), description="particles to draw; none: those of the most sightings"
    )
    drawn: int = Field(4, ge=1, le=12, description="how many are drawn where none are named")
    min_sightings: int = Field(8, ge=3, description="particles of fewer sightings have no rate")


class Growth(Analysis):
    """Growth of single particles with the law that fits best, and the growth rates of all."""

    Options = GrowthOptions
    options: GrowthOptions
    shapes = ("ellipse",)

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return up to two findings; none where nothing was tracked or measured.

        Raises
        ------
        OptionError
            `particles` names one that was not tracked, or never measured.
        """
        if tables.tracks is None or tables.tracks.empty:
            return []
        rows = sighted(with_fitted_sizes(tables.tracks))
        size = size_column(rows)
        if size is None:
            return []
        axis, unit = growth_axis(tables)
        rows = rows.dropna(subset=[size])
        found = [*self._single(rows, axis, unit, size), *self._rates(rows, axis, unit, size)]
        note = " ".join(filter(None, (left_out_of_tracks(tables.tracks), SINGLE)))
        return [replace(finding, note=note) for finding in found]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        lacking = untracked(tables)
        if lacking or tables.tracks is None:
            return lacking
        rows = sighted(with_fitted_sizes(tables.tracks))
        size = size_column(rows)
        if size is None and size_column(tables.tracks) is not None:
            return "every size is that of a box (fit is 0) or of a visible part (at_rim is 1)"
        if size is None:
            return "no sizes were measured; choose a post-processor for the run"
        most = int(rows.dropna(subset=[size])["particle"].value_counts().max())
        least = self.options.min_sightings
        return f"no particle has {least} sightings with a size; the most is {most}"

    def _single(self, rows: pd.DataFrame, axis: str, unit: str, size: str) -> list[Finding]:
        counts = rows["particle"].value_counts(sort=False).sort_index()
        chosen: list[int] = list(self.options.particles)
        absent = [str(p) for p in chosen if p not in counts.index]
        if absent:
            raise OptionError(
                f"growth.particles: the tracks hold no measured particle {', '.join(absent)}; "
                "particles.csv lists them all"
            )
        if not chosen:
            longest = counts.sort_values(ascending=False, kind="stable")
            chosen = longest.index[: self.options.drawn].tolist()
        figure, (panel,) = new_figure()
        records = []
        for k, particle in enumerate(chosen):
            own = rows[rows["particle"] == particle]
            fits = _drawn(panel, own, axis, size, f"particle {particle}", type_colour(k))
            # Laws count from the first sighting that has a size.
            start = {f"start_{axis}": own[axis].iloc[0]}
            records += [_record(particle, fit, start, size[-2:], unit) for fit in fits]
        if not records:
            return []
        panel.set(xlabel=LABELS[axis], ylabel=f"Diameter ({size[-2:]})")
        panel.set_ylim(bottom=0)
        panel.legend(frameon=False, fontsize="small")
        axis_note(panel, "Lines: laws of the least AICc")
        title = "Growth of single particles"
        return [Finding("growth-laws", title, pd.DataFrame(records), figure)]

    def _rates(self, rows: pd.DataFrame, axis: str, unit: str, size: str) -> list[Finding]:
        rates = growth_rates(rows, axis, size, self.options.min_sightings)
        if rates.empty:
            return []
        mean = mean_rate(rates)
        length = size[-2:]
        figure, (panel,) = new_figure()
        panel.errorbar(rates["mean_size"], rates["rate"], rates["rate_error"], fmt=".",
                       color=type_colour(1), elinewidth=0.5, markersize=3)  # fmt: skip
        panel.axhline(0, color="0.6", linewidth=0.8)
        if np.isfinite(mean.low):
            panel.axhspan(mean.low, mean.high, color=type_colour(0), alpha=0.4)
        panel.set(xlabel=f"Mean diameter ({length})", ylabel=f"Growth rate ({length}/{unit})")
        low, high = np.quantile(rates["rate"], [0.01, 0.99])
        panel.set_ylim(low - 0.3 * (high - low) - 1e-12, high + 0.3 * (high - low) + 1e-12)
        limits = (mean.low, mean.high) if np.isfinite(mean.low) else (None, None)
        number = KeyNumber("Mean growth rate", mean.rate, f"{length}/{unit}", *limits)
        band = "; band: 95 % limits of the mean" if np.isfinite(mean.low) else ""
        axis_note(panel, f"Bars: errors by scatter about each line{band}")
        title = "Growth rates of particles"
        table = with_units(rates, {"mean_size": length, "rate": f"{length}/{unit}"})
        return [Finding("growth-rates", title, table, figure, (number,))]


def _drawn(
    panel: Axes, own: pd.DataFrame, axis: str, size: str, label: str, colour: str
) -> list[GrowthFit]:
    x = own[axis].to_numpy(float)
    panel.plot(x, own[size], ".", markersize=3, color=colour, alpha=0.6)
    fits = fit_growth(x - x[0], own[size].to_numpy(float))
    if fits:
        smooth = np.linspace(0, x[-1] - x[0], 100)
        text = f"{label}: {fits[0].law}"
        panel.plot(x[0] + smooth, fits[0].size(smooth), color=colour, linewidth=1, label=text)
    return fits


def _record(
    particle: int, fit: GrowthFit, start: dict[str, Any], length: str, unit: str
) -> dict[str, Any]:
    record: dict[str, Any] = {"particle": particle, "law": fit.law, **start}
    for name, value in fit.parameters.items():
        record |= {name: value, f"{name}_error": fit.errors[name]}
    record |= {"residual": fit.residual, "aicc": fit.aicc}
    # The rate of the square of the diameter is not that of the diameter.
    square = "²" if fit.law == "parabolic" else ""
    units = dict.fromkeys(("d0", "d_infinity", "rise", "residual"), length)
    units |= {"d0_squared": f"{length}²", "tau": unit, "k": f"{length}{square}/{unit}"}
    names = unit_names(record, units)
    return {names.get(name, name): value for name, value in record.items()}
