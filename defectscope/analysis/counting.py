"""Confidence limits of counts, means and products: what every figure draws around its values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "LEVEL",
    "detection_factor",
    "detection_spread",
    "mean_limits",
    "poisson_limits",
    "scaled_limits",
]

# Probability that limits hold the true value, everywhere where nothing else is said.
LEVEL = 0.95


def poisson_limits(
    counts: ArrayLike, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the limits of the mean of a Poisson distribution of which `counts` were seen.

    Parameters
    ----------
    counts
        (n,) numbers, not negative; of weighted counts the effective numbers, which need not be
        whole.
    level
        Probability from 0 to 1.

    Notes
    -----
    Exact central limits, chi²(α/2; 2n)/2 and chi²(1 - α/2; 2n + 2)/2 (Garwood, Biometrika 28
    (1936) 437); the lower limit of 0 is 0.
    """
    n = np.asarray(counts, float)
    tail = (1 - level) / 2
    low = np.where(n > 0, special.gammaincinv(np.where(n > 0, n, 1.0), tail), 0.0)
    return low, np.asarray(special.gammaincinv(n + 1, 1 - tail))


def scaled_limits(
    counts: ArrayLike, factor: ArrayLike, factor_error: ArrayLike = 0.0, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the limits of counts times a factor that is known with a relative error.

    Parameters
    ----------
    counts
        (n,) counts, or effective numbers.
    factor
        What they are multiplied with.
    factor_error
        Relative standard error of the factor.

    Notes
    -----
    On the logarithm the distances of the Poisson limits and of the factor's add up in quadrature;
    where nothing was counted only the factor widens the upper limit.
    """
    n, scale = np.asarray(counts, float), np.asarray(factor, float)
    low, high = poisson_limits(n, level)
    wide = special.ndtri((1 + level) / 2) * np.asarray(factor_error, float)
    middle = np.where(n > 0, n, high)
    down = np.hypot(np.log(middle / np.where(low > 0, low, 1.0)), wide)
    up = np.hypot(np.log(high / middle), wide)
    return np.where(low > 0, scale * middle * np.exp(-down), 0.0), scale * middle * np.exp(up)


def detection_factor(scores: Any) -> tuple[float, float]:
    """Return true defects for each one found, and the relative standard error of that.

    Parameters
    ----------
    scores
        ``precision`` and ``recall`` (0 to 1), and where they are known ``precision_error`` and
        ``recall_error`` (standard errors). What is missing is taken as 1 without error.

    Notes
    -----
    Of n found, precision·n are true; they are the recall of all. The errors of both are taken as
    independent: relative errors add in quadrature.
    """
    precision, recall = (float(scores.get(name, 1.0)) for name in ("precision", "recall"))
    errors = (
        float(scores.get("precision_error", 0.0)) / precision,
        float(scores.get("recall_error", 0.0)) / recall,
    )
    return precision / recall, math.hypot(*errors)


def detection_spread(scores: Any) -> float:
    """Return the error of a mean over what was found, in spreads of the values.

    Parameters
    ----------
    scores
        ``precision`` and ``recall`` (0 to 1); what is missing is taken as 1.

    Returns
    -------
    float
        hypot(1 - p, 1 - r): times the standard deviation s of the values it is a standard error,
        to be added to that of the mean in quadrature.

    Notes
    -----
    With invented ones the mean of the found is p·m₁ + (1 - p)·m₀, of which m₁ is wanted; with
    missed ones the mean of all is r·m₁ + (1 - r)·m₂. Assumed is that invented and missed ones
    differ from the others by about one spread: |m₀ - m₁|, |m₂ - m₁| ≤ s, in either direction,
    independently. Both terms do not shrink with the number of values.
    """
    precision, recall = (float(scores.get(name, 1.0)) for name in ("precision", "recall"))
    return math.hypot(1 - precision, 1 - recall)


def mean_limits(
    mean: ArrayLike,
    standard_error: ArrayLike,
    count: ArrayLike,
    level: float = LEVEL,
    detector_error: ArrayLike = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Student's limits of a mean of `count` sizes or times, of which none is negative.

    Those of a single one are 0 and infinity, as the lower one of several is 0 at least.
    A standard error by missed and invented values, `detector_error`, is not one of their number:
    it widens the limits as a normal one does, in quadrature.
    """
    n = np.asarray(count, float)
    with np.errstate(invalid="ignore"):
        quantile = np.where(n > 1, special.stdtrit(np.maximum(n - 1, 1), (1 + level) / 2), math.inf)
        wide = quantile * np.nan_to_num(np.asarray(standard_error, float), nan=0.0)
        other = np.nan_to_num(np.asarray(detector_error, float), nan=0.0)
        wide = np.hypot(wide, special.ndtri((1 + level) / 2) * other)
    wide = np.where(n > 1, wide, math.inf)
    middle = np.asarray(mean, float)
    return np.maximum(middle - wide, 0.0), middle + wide
