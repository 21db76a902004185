"""Growth laws of single particles, and rates of all of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from defectscope.analysis.counting import LEVEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LAWS", "GrowthFit", "MeanRate", "fit_growth", "growth_rates", "mean_rate"]


def _linear(t: NDArray[Any], start: float, rate: float) -> NDArray[Any]:
    return start + rate * t


def _parabolic(t: NDArray[Any], square: float, rate: float) -> NDArray[Any]:
    return np.sqrt(np.maximum(square + rate * t, 0.0))


def _saturating(t: NDArray[Any], last: float, rise: float, tau: float) -> NDArray[Any]:
    return last - rise * np.exp(-t / tau)


# d(t): linear d0 + k·t; parabolic (d0² + k·t)^½; saturating d∞ - (d∞ - d0)·exp(-t/τ).
LAWS: dict[str, tuple[Callable[..., NDArray[Any]], tuple[str, ...]]] = {
    "linear": (_linear, ("d0", "k")),
    "parabolic": (_parabolic, ("d0_squared", "k")),
    "saturating": (_saturating, ("d_infinity", "rise", "tau")),
}


class GrowthFit(NamedTuple):
    """One law fitted to one particle.

    Parameters
    ----------
    law
        Name in :data:`LAWS`.
    parameters, errors
        By name; standard errors.
    residual
        Standard deviation of the sizes about the law.
    aicc
        Akaike's criterion for few data; the least one is the best law.
    """

    law: str
    parameters: dict[str, float]
    errors: dict[str, float]
    residual: float
    aicc: float

    def size(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the size by the law at `t`, counted from the first sighting."""
        return np.asarray(LAWS[self.law][0](t, *self.parameters.values()), float)


def fit_growth(t: NDArray[np.float64], sizes: NDArray[np.float64]) -> list[GrowthFit]:
    """Fit all growth laws to the sizes of a particle, the best one first.

    Parameters
    ----------
    t
        (n,) dose, time or frame since the first sighting, ascending.
    sizes
        (n,) sizes; NaN is left out.

    Returns
    -------
    list of GrowthFit
        Empty for fewer than six sizes; a law that does not converge is left out.
    """
    known = np.isfinite(sizes) & np.isfinite(t)
    t, sizes = t[known], sizes[known]
    if len(t) < 6 or np.ptp(t) == 0:
        return []
    from scipy import optimize

    span, rise = float(np.ptp(t)), float(sizes[-1] - sizes[0])
    slope, start = (float(v) for v in np.polyfit(t, sizes, 1))
    guesses = {
        "linear": (start, slope),
        "parabolic": (sizes[0] ** 2, (sizes[-1] ** 2 - sizes[0] ** 2) / span),
        "saturating": (sizes.max(), max(abs(rise), 1e-3), span / 2),
    }
    fits = []
    for law, (function, names) in LAWS.items():
        free = (-np.inf, np.inf)
        limits = ([0, -np.inf, span / 100], [10 * sizes.max() + 1, np.inf, 100 * span])
        try:
            with warnings.catch_warnings():
                # Sizes that lie on a law exactly have no covariance; it is infinite then.
                warnings.simplefilter("ignore", optimize.OptimizeWarning)
                found, covariance = optimize.curve_fit(
                    function, t, sizes, guesses[law], maxfev=2000,
                    bounds=limits if law == "saturating" else free,
                )  # fmt: skip
        except (RuntimeError, ValueError):
            continue
        left = float(((sizes - function(t, *found)) ** 2).sum())
        k, n = len(names) + 1, len(t)
        aicc = n * math.log(max(left / n, 1e-300)) + 2 * k + 2 * k * (k + 1) / max(n - k - 1, 1)
        errors = np.sqrt(np.diag(covariance))
        fits.append(
            GrowthFit(
                law,
                dict(zip(names, found.tolist(), strict=True)),
                dict(zip(names, errors.tolist(), strict=True)),
                math.sqrt(left / max(n - len(names), 1)),
                aicc,
            )
        )
    return sorted(fits, key=lambda fit: fit.aicc)


def growth_rates(
    rows: pd.DataFrame, axis: str, size: str, min_sightings: int = 6, level: float = LEVEL
) -> pd.DataFrame:
    """Return the growth rate of each particle, by a straight line through its sizes.

    Parameters
    ----------
    rows
        Sightings in the order of particle and frame: ``particle``, and the columns `axis` and
        `size`.
    axis, size
        What it is measured against, and the size.
    min_sightings
        Particles with fewer sizes are left out.
    level
        Probability of the limits.

    Returns
    -------
    DataFrame
        ``particle``, ``sightings``, ``mean_size``, ``rate`` (size by unit of the axis),
        ``rate_error``, ``rate_low``, ``rate_high``: Student's limits of the slope.

    Notes
    -----
    Errors and limits hold the scatter of sizes about the line alone, which in a series goes on from
    one sighting to the next: they are those of n(1 - r)/(1 + r) independent sizes, with the
    correlation r of successive residuals (Santer et al., J. Geophys. Res. 105 (2000) 7337). What
    changes slowly as a loop grows, such as an error of the measured size that depends on the size,
    is taken for growth, so that the true rate lies outside more often than `level` says.
    """
    known = rows[["particle", axis, size]].dropna()
    names, own = np.unique(known["particle"].to_numpy(), return_inverse=True)
    t, d = known[axis].to_numpy(float), known[size].to_numpy(float)
    n = np.bincount(own, minlength=len(names))
    # What a mean leaves of equal values is rounding, and no spread.
    first, last = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    np.minimum.at(first, own, t)
    np.maximum.at(last, own, t)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = t - (np.bincount(own, t) / n)[own] if len(names) else t
        mean = np.bincount(own, d, minlength=len(names)) / n
        spread = np.bincount(own, t * t, minlength=len(names))
        rate = np.bincount(own, t * d, minlength=len(names)) / spread
        residuals = d - mean[own] - rate[own] * t
        left = np.bincount(own, residuals**2, minlength=len(names))
        free = np.maximum(_independent(residuals, own, n) - 2, 1)
        error = np.sqrt(left / free / spread)
    wide = error * special.stdtrit(free, (1 + level) / 2)
    table = pd.DataFrame(
        {"particle": names, "sightings": n, "mean_size": mean, "rate": rate, "rate_error": error,
         "rate_low": rate - wide, "rate_high": rate + wide}
    )  # fmt: skip
    enough = (n >= max(min_sightings, 3)) & (last > first)
    return table[enough].reset_index(drop=True)


def _independent(
    residuals: NDArray[np.float64], own: NDArray[np.intp], n: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return as how many independent residuals about a line those of each particle count.

    A line follows part of what goes on from one to the next, so that the correlation of residuals
    is too small, by (2 + 4r)/n (van Giersbergen, UvA Econometrics Discussion Paper 2004/08).
    """
    same = own[1:] == own[:-1]
    products = (residuals[1:] * residuals[:-1])[same]
    squares = np.bincount(own, residuals**2, minlength=len(n))
    # Sizes that lie on a line exactly have no residuals to correlate.
    r = np.nan_to_num(np.bincount(own[1:][same], products, minlength=len(n)) / squares)
    r = np.where(r > 0, np.minimum(r + (2 + 4 * r) / n, 1), 0.0)
    return np.asarray(n * (1 - r) / (1 + r), float)


# An error below this part of the largest one is what rounding leaves of none.
ROUNDING = 1e-9


class MeanRate(NamedTuple):
    """The mean growth rate of particles, with limits; NaN where there are none."""

    rate: float
    error: float
    low: float
    high: float
    particles: int


def mean_rate(rates: pd.DataFrame, level: float = LEVEL) -> MeanRate:
    """Return the mean rate of particles, from :func:`growth_rates`.

    Notes
    -----
    Weights are 1 / (s² + e²), with e the error of each rate and s² the variance among particles
    beyond these errors (DerSimonian & Laird, Control. Clin. Trials 7 (1986) 177), so that short
    tracks count little where all grow alike, and all count alike where they do not. Limits are
    Student's, with as many degrees of freedom as there are particles, less one; there are none
    where all rates are alike. Sizes that lie exactly on a line, as constant ones do, count as those
    of the least error that is one.
    """
    good = rates[np.isfinite(rates["rate_error"])]
    n = len(good)
    if n < 2:
        value = float(rates["rate"].mean()) if len(rates) else math.nan
        return MeanRate(value, math.nan, math.nan, math.nan, n)
    rate, error = good["rate"].to_numpy(float), _least_errors(good["rate_error"].to_numpy(float))
    w = error**-2
    fixed = float((w * rate).sum() / w.sum())
    excess = float((w * (rate - fixed) ** 2).sum()) - (n - 1)
    among = max(excess / float(w.sum() - (w**2).sum() / w.sum()), 0.0)
    w = 1 / (error**2 + among)
    value = float((w * rate).sum() / w.sum())
    # From how rates differ, so that errors which are too small do no harm (Hartung & Knapp 2001).
    spread = float((w * (rate - value) ** 2).sum() / (n - 1) / w.sum())
    if np.ptp(rate) == 0:
        return MeanRate(value, math.nan, math.nan, math.nan, n)
    wide = math.sqrt(spread) * float(special.stdtrit(n - 1, (1 + level) / 2))
    return MeanRate(value, math.sqrt(spread), value - wide, value + wide, n)


def _least_errors(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return errors of which none is zero; without any all are alike."""
    real = errors[errors > ROUNDING * errors.max()]
    return np.maximum(errors, real.min()) if len(real) else np.ones_like(errors)
