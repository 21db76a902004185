"""Movement of particles: effective diffusion coefficients, and the mean squared displacement.

- P2 = Shen et al., the paper on an in-situ video: D_eff of each track (Fig. 11).
- Qian, Sheetz & Elson, Biophys. J. 60 (1991) 910: errors of mean squared displacements whose steps
  overlap.
- Michalet, Phys. Rev. E 82 (2010) 041914: the same, and fits, with an error of localisation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import axis_note, new_figure, type_colour
from defectscope.analysis.counting import LEVEL
from defectscope.analysis.diffusion_options import DiffusionOptions
from defectscope.analysis.drift_note import drift_note
from defectscope.analysis.scales import (
    Scale,
    Steps,
    Walks,
    scale_of,
    sighted,
    size_column,
    untracked,
    with_units,
)
from defectscope.analysis.whole_sizes import left_out_of_tracks, with_fitted_sizes
from defectscope.core.frame_steps import typical_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Diffusion",
    "DiffusionOptions",
    "EnsembleFit",
    "by_size",
    "effective_diffusion",
    "ensemble_msd",
]


# Columns of sizes, whose unit may differ from that of D_eff.
SIZES = ("median_size", "size_low", "size_high")


def effective_diffusion(
    tracks: pd.DataFrame, lag: int, scale: Scale, frame_step: int = 1
) -> pd.DataFrame:
    """Return the effective diffusion coefficient of each track.

    Parameters
    ----------
    tracks
        ``frame``, ``particle``, ``x``, ``y`` (px); ``x_corrected`` and ``y_corrected`` are used
        where they are there.
    lag
        τ, frames that were looked at.
    scale
        Units of the result: length² / time.
    frame_step
        Difference of the indices of two successive frames that were looked at.

    Returns
    -------
    DataFrame
        ``particle``, ``steps`` (pairs of sightings that are τ apart), ``d_eff`` and its standard
        error ``d_eff_error``, and the median size (``median_size``) where sizes are known.

    Notes
    -----
    P2: D_eff = |r(t + τ) - r(t)|² / 4τ, mean over the track. It holds the error of localisation,
    σ²/τ; that of :func:`ensemble_msd` does not. Steps of more than one frame overlap, so that they
    vary together: the squared error is s²·R/(1 - R), with the variance s² of the n values in the
    track, and R = Σᵢⱼ ρ²ᵢⱼ/n² of the correlations ρ of their displacements (Qian et al. 1991; of
    Gaussian displacements the squares correlate by ρ²). Without overlap R is 1/n.
    """
    rows = sighted(tracks)
    walks = Walks(rows, scale)
    steps = walks.steps(lag * frame_step)
    values = (steps.moved**2).sum(axis=1) / (4 * lag * frame_step * scale.time)
    particle = rows["particle"].to_numpy()
    names = particle[np.flatnonzero(np.diff(walks.rank, prepend=-1))]
    count = np.bincount(steps.particle, minlength=len(names))
    total = np.bincount(steps.particle, values, minlength=len(names))
    square = np.bincount(steps.particle, values**2, minlength=len(names))
    share = _shared(count, lag, _echo(steps, len(rows)))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        variance = np.maximum(square / count - mean**2, 0)
        error = np.sqrt(variance * share / (1 - share))
    table = pd.DataFrame({"particle": names, "steps": count, "d_eff": mean, "d_eff_error": error})
    size = size_column(rows)
    if size is not None:
        table["median_size"] = rows.groupby("particle")[size].median().to_numpy()
    return table[table["steps"] > 0].reset_index(drop=True)


def _echo(steps: Steps, rows: int) -> float:
    """Return the correlation of two steps of which one begins where the other ended.

    The error of the place that they share pulls them apart (Michalet 2010): from 0, without such
    errors, to -1/2, without movement.
    """
    starting = np.full(rows, -1)
    starting[steps.first] = np.arange(len(steps.first))
    following = starting[steps.last]
    pairs = following >= 0
    product = float((steps.moved[pairs] * steps.moved[following[pairs]]).sum())
    square = float((steps.moved[pairs] ** 2).sum())
    return min(max(product / square, -0.5), 0.0) if square > 0 else 0.0


def _shared(count: NDArray[np.int64], lag: int, echo: float) -> NDArray[np.float64]:
    """Return Σᵢⱼ ρ²ᵢⱼ/n² for (k,) numbers of steps, each beginning a frame after the other.

    Two that begin i of `lag` frames apart correlate by 1 - i/lag, less where `echo` says that
    places are known with an error. Where sightings are missing fewer overlap, and the sum is less.
    """
    apart = np.arange(1, min(lag, int(count.max(initial=1))) + 1)
    squares = np.where(apart < lag, (1 - apart / lag) * (1 + 2 * echo), echo) ** 2
    ones, others = (np.r_[0.0, np.cumsum(v)] for v in (squares, squares * apart))
    last = np.clip(count - 1, 0, len(apart))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((count + 2 * (count * ones[last] - others[last])) / count**2)


def by_size(table: pd.DataFrame, bins: int, smallest: float, largest: float) -> pd.DataFrame:
    """Return the mean D_eff of tracks by their median size (P2, Fig. 11).

    Parameters
    ----------
    table
        From :func:`effective_diffusion`, with sizes.
    bins, smallest, largest
        Equal bins from `smallest` to `largest`; P2: 50 of 2 to 18 nm.

    Returns
    -------
    DataFrame
        ``size_low``, ``size_high``, ``particles``, ``d_eff`` (mean over the tracks of the bin) and
        ``d_eff_error`` (its standard error; empty for a single track). Bins without tracks are
        left out.
    """
    known = table.dropna(subset=["median_size", "d_eff"])
    edges = np.linspace(smallest, largest, bins + 1)
    sizes = known["median_size"].to_numpy(float)
    place = np.searchsorted(edges, sizes, side="right") - 1
    place = np.where(sizes == largest, bins - 1, place)
    inside = (place >= 0) & (place < bins)
    groups = known[inside].groupby(place[inside])["d_eff"]
    which = groups.mean().index.to_numpy(np.int64)
    return pd.DataFrame(
        {
            "size_low": edges[which], "size_high": edges[which + 1],
            "particles": groups.size().to_numpy(), "d_eff": groups.mean().to_numpy(),
            "d_eff_error": groups.sem().to_numpy(),
        }
    )  # fmt: skip


def _outside_note(sizes: pd.Series, low: float, high: float, unit: str) -> str:
    """Return how many tracks are in no bin for their size; nothing where all are in one."""
    outside = int((~sizes.between(low, high)).sum())
    if not outside:
        return ""
    return (
        f"{outside} of {len(sizes)} tracks lie outside {low:g}–{high:g} {unit} and are in no bin; "
        "see smallest_size, largest_size."
    )


class EnsembleFit(NamedTuple):
    """The mean squared displacement of all particles, and the line through its beginning.

    Parameters
    ----------
    curve
        ``lag`` (difference of frame indices), ``pairs``, ``particles``, ``msd`` (length²) and
        ``msd_error``, NaN where one particle is left, for its error is not known.
    d, d_error, d_low, d_high
        Diffusion coefficient, its standard error and limits, length² / time.
    localisation
        Standard deviation of a position along an axis, length; 0 where the fit gives less.
    lags
        Lags that the line goes through.
    """

    curve: pd.DataFrame
    d: float
    d_error: float
    d_low: float
    d_high: float
    localisation: float
    lags: int


def ensemble_msd(
    tracks: pd.DataFrame,
    largest_lag: int,
    scale: Scale,
    level: float = LEVEL,
    frame_step: int = 1,
) -> EnsembleFit | None:
    """Return the ensemble's mean squared displacement, and D with localisation error.

    Parameters
    ----------
    tracks
        As for :func:`effective_diffusion`.
    largest_lag
        Frames that were looked at.
    scale
        Units of the result.
    level
        Probability of the limits.
    frame_step
        Difference of the indices of two successive frames that were looked at.

    Returns
    -------
    EnsembleFit or None
        None where no two lags have pairs.

    Notes
    -----
    MSD(τ) = 4·D·τ + 4·σ² (two axes; σ the error of localisation), fitted by least squares to as
    many lags as are best for the ratio σ²/Dτ that comes out (Michalet 2010, eq. for the optimal
    number of points: 2 + 2.3·x^0.52). The error of D comes from the differences between the
    tracks, which are independent, and not from those between the lags, which are not; limits are
    Student's with as many degrees of freedom as there are tracks, less one.
    """
    rows = sighted(tracks)
    squares, counts = _squares(rows, largest_lag, scale, frame_step)
    pairs = counts.sum(axis=0)
    usable = int(np.argmin(np.r_[pairs > 0, False]))
    if usable < 2:
        return None
    squares, counts, pairs = squares[:, :usable], counts[:, :usable], pairs[:usable]
    msd = squares.sum(axis=0) / pairs
    # What each track adds to the error of each lag.
    apart = (squares - msd * counts) / pairs
    seen = (counts > 0).sum(axis=0)
    spread = (apart**2).sum(axis=0) * seen
    variance = np.divide(spread, seen - 1, out=np.full(usable, np.nan), where=seen > 1)
    curve = pd.DataFrame(
        {"lag": frame_step * np.arange(1, usable + 1), "pairs": pairs, "particles": seen,
         "msd": msd, "msd_error": np.sqrt(variance)}
    )  # fmt: skip
    lags = _best_lags(msd)
    weights = _slope_weights(lags) / (4 * scale.time * frame_step)
    d = float(weights @ msd[:lags])
    own = apart[:, :lags] @ weights
    number = int((counts[:, 0] > 0).sum())
    error = math.sqrt(float((own**2).sum()) * number / (number - 1)) if number > 1 else math.inf
    wide = error * float(special.stdtrit(number - 1, (1 + level) / 2)) if number > 1 else math.inf
    offset = float(msd[:lags].mean()) - 4 * d * scale.time * frame_step * (lags + 1) / 2
    return EnsembleFit(curve, d, error, d - wide, d + wide, math.sqrt(max(offset, 0.0) / 4), lags)


def _known(fit: EnsembleFit) -> tuple[float | None, float | None]:
    """Return the limits of D; of a single particle nobody knows them."""
    return (fit.d_low, fit.d_high) if math.isfinite(fit.d_error) else (None, None)


def _squares(
    rows: pd.DataFrame, largest_lag: int, scale: Scale, frame_step: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sum of squared displacements and the pairs, of each particle and lag."""
    walks = Walks(rows, scale)
    number = walks.number
    squares = np.zeros((number, largest_lag))
    counts = np.zeros((number, largest_lag), np.int64)
    for lag in range(1, largest_lag + 1):
        steps = walks.steps(lag * frame_step)
        square = (steps.moved**2).sum(axis=1)
        squares[:, lag - 1] = np.bincount(steps.particle, square, minlength=number)
        counts[:, lag - 1] = np.bincount(steps.particle, minlength=number)
    return squares, counts


def _best_lags(msd: NDArray[np.float64]) -> int:
    slope = max(float(msd[1] - msd[0]), 0.0)
    offset = max(float(msd[0]) - slope, 0.0)
    if slope == 0:
        return len(msd)
    return int(min(len(msd), 2 + math.floor(2.3 * (offset / slope) ** 0.52)))


def _slope_weights(lags: int) -> NDArray[np.float64]:
    """Return what the slope of the least-squares line is of the values at 1, 2, … lags."""
    centred = np.arange(1, lags + 1) - (lags + 1) / 2
    return np.asarray(centred / (centred**2).sum())


class Diffusion(Analysis):
    """D_eff of tracks by size, and D of all from their mean squared displacement."""

    Options = DiffusionOptions
    options: DiffusionOptions
    shapes = ("ellipse",)

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return up to three findings; none where nothing was tracked for long enough.

        Raises
        ------
        OptionError
            The bins of size end before they begin.
        """
        if tables.tracks is None or tables.tracks.empty:
            return []
        scale = scale_of(tables.calibration)
        rows = sighted(with_fitted_sizes(tables.tracks))
        seen = rows.groupby("particle")["frame"].transform("size")
        rows = rows[seen >= self.options.min_sightings]
        if rows.empty:
            return []
        step = typical_step(tables.frames["frame"])
        sizes = left_out_of_tracks(tables.tracks)
        return [*self._effective(rows, scale, step, sizes), *self._ensemble(rows, scale, step)]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        least = self.options.min_sightings
        return untracked(tables) or f"no particle has {least} sightings"

    def _effective(
        self, rows: pd.DataFrame, scale: Scale, frame_step: int, left_out: str
    ) -> list[Finding]:
        table = effective_diffusion(rows, self.options.lag, scale, frame_step)
        if table.empty:
            return []
        unit = f"{scale.length_unit}²/{scale.time_unit}"
        figure, (panel,) = new_figure()
        name = size_column(rows)
        bins, note = table, ""
        if name is None:
            panel.hist(table["d_eff"], bins=40, color=type_colour(1))
            panel.set(xlabel=f"D$_{{eff}}$ ({unit})", ylabel="Particles")
        else:
            sizes = table["median_size"].dropna()
            low, high = self.options.ends(sizes, name[-2:])
            bins = by_size(table, self.options.bins, low, high)
            note = " ".join(filter(None, (_outside_note(sizes, low, high, name[-2:]), left_out)))
            middle = (bins["size_low"] + bins["size_high"]) / 2
            panel.plot(sizes, table["d_eff"].loc[sizes.index], ".", color="0.8", markersize=2)
            panel.errorbar(middle, bins["d_eff"], bins["d_eff_error"].fillna(0.0), fmt="o",
                           markersize=3, color=type_colour(5), linewidth=1)  # fmt: skip
            panel.set(xlabel=f"Median size ({name[-2:]})", ylabel=f"D$_{{eff}}$ ({unit})")
            panel.set_xlim(low, high)
            axis_note(panel, "Bars: standard errors; grey: single tracks")
        panel.set_ylim(bottom=0)
        lag = self.options.lag * frame_step
        title = f"Effective diffusion of tracks, τ = {lag} frame{'s' * (lag > 1)}"
        units = {"d_eff": unit}
        units |= {} if name is None else dict.fromkeys(SIZES, name[-2:])
        bins, table = with_units(bins, units), with_units(table, units)
        return [
            Finding("diffusion-by-size", title, bins, figure, note=note),
            Finding("diffusion-of-tracks", "Effective diffusion of each track", table),
        ]

    def _ensemble(self, rows: pd.DataFrame, scale: Scale, frame_step: int) -> list[Finding]:
        fit = ensemble_msd(rows, self.options.largest_lag, scale, frame_step=frame_step)
        if fit is None:
            return []
        unit, time_unit = scale.length_unit, scale.time_unit
        figure, (panel,) = new_figure()
        lag = fit.curve["lag"] * scale.time
        panel.errorbar(lag, fit.curve["msd"], fit.curve["msd_error"], fmt="o", markersize=3,
                       color=type_colour(5), linewidth=1)  # fmt: skip
        line = np.array([0, fit.lags * frame_step * scale.time])
        panel.plot(line, 4 * fit.d * line + 4 * fit.localisation**2, color="k", linewidth=1)
        panel.set(xlabel=f"Lag ({time_unit})", ylabel=f"Mean squared displacement ({unit}²)")
        panel.set_ylim(bottom=0)
        numbers = (
            KeyNumber("D of all particles", fit.d, f"{unit}²/{time_unit}", *_known(fit)),
            KeyNumber("Error of localisation", fit.localisation, unit),
        )
        axis_note(panel, "Bars: standard errors; line: 4Dτ + 4σ²")
        title = "Mean squared displacement of all particles"
        table = with_units(fit.curve, {"lag": "frame", "msd": f"{unit}²"})
        if time_unit == "s":
            table.insert(1, "lag_s", lag)
        note = drift_note(fit.curve)
        return [Finding("mean-squared-displacement", title, table, figure, numbers, note)]
