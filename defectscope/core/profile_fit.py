"""A model of the grey across a line, fitted to an averaged profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ProfileFit", "fit_profile", "profile_shape"]

Kind = Literal["single", "double"]
# A black-white pair u·exp((1 - u²)/2) falls to half of its extremes at this u outside them.
DOUBLE_HALF_AT = 1.92162
FLATNESS = 2.2
FLATNESS_LIMITS = (1.5, 4.0)
# Of the starts of the fit: widths grow by this factor, centres by this distance.
WIDTH_FACTOR = 1.25
CENTRE_STEP_PX = 0.75
LARGEST_CENTRE_PX = 3.0
LEAST_WIDTH_PX = 1.0
# A line counts as double where that leaves so much less of the profile unexplained.
DOUBLE_BELOW = 0.7
FEWEST_PLACES = 12


@dataclass(frozen=True)
class ProfileFit:
    """A profile: amplitude · shape, over a base that may slope.

    Parameters
    ----------
    kind
        ``single``: 2^(-|2(u - centre)/width|^flatness). ``double``: a black-white pair.
    centre_px, width_px, flatness
        Of the shape.
    amplitude
        Grey at the peak over the base; of a pair that on the right of the line.
    base, slope
        Grey beside the line, and how it changes, per px.
    """

    kind: Kind
    centre_px: float
    width_px: float
    flatness: float
    amplitude: float
    base: float
    slope: float

    def line(self, offsets_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the line adds to the grey beside it."""
        return self.amplitude * profile_shape(self, offsets_px)


def profile_shape(fit: ProfileFit, offsets_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the profile of unit amplitude without its base."""
    return _shape(fit.kind, offsets_px, fit.centre_px, fit.width_px, fit.flatness)


def _shape(
    kind: Kind, offsets_px: NDArray[np.float64], centre: float, width: float, flatness: float
) -> NDArray[np.float64]:
    u = 2 * (offsets_px - centre) / width
    if kind == "single":
        return np.asarray(np.exp2(-(np.abs(u) ** flatness)))
    v = DOUBLE_HALF_AT * u
    return np.asarray(v * np.exp((1 - v * v) / 2))


def fit_profile(offsets_px: NDArray[np.float64], grey: NDArray[np.float64]) -> ProfileFit | None:
    """Fit the model to a profile by least squares.

    Parameters
    ----------
    offsets_px, grey
        (m,) places across the line and the grey there; NaN do not count.

    Returns
    -------
    A single line, or a black-white pair where that explains clearly more; None where too few
    places are known.
    """
    known = np.isfinite(grey)
    if known.sum() < FEWEST_PLACES:
        return None
    offsets, values = offsets_px[known], grey[known]
    reach = float(np.abs(offsets).max())
    limits = _Limits(min(LARGEST_CENTRE_PX, reach / 3), max(1.5 * reach, 2 * LEAST_WIDTH_PX))
    single, single_rest = _best_start("single", offsets, values, limits)
    double, double_rest = _best_start("double", offsets, values, limits)
    if double_rest < DOUBLE_BELOW * single_rest:
        return _fitted("double", offsets, values, double, limits)
    return _fitted("single", offsets, values, single, limits)


@dataclass(frozen=True)
class _Limits:
    centre_px: float
    width_px: float


def _best_start(
    kind: Kind, offsets: NDArray[np.float64], grey: NDArray[np.float64], limits: _Limits
) -> tuple[NDArray[np.float64], float]:
    """Return centre, log of width, and flatness that fit best on a grid, and what remains."""
    count = int(np.log(limits.width_px / LEAST_WIDTH_PX) / np.log(WIDTH_FACTOR))
    widths = LEAST_WIDTH_PX * WIDTH_FACTOR ** (np.arange(count) + 0.5)
    steps = int(limits.centre_px / CENTRE_STEP_PX)
    centres = CENTRE_STEP_PX * np.arange(-steps, steps + 1)
    starts = [(float(c), float(w)) for w in widths for c in centres]
    shapes = np.stack([_shape(kind, offsets, c, w, FLATNESS) for c, w in starts])
    # What a sloping base explains is taken off both, so that the amplitude alone is left to fit.
    basis = np.linalg.qr(np.stack([np.ones_like(offsets), offsets], axis=1))[0]
    rest = grey - basis @ (basis.T @ grey)
    shapes -= shapes @ basis @ basis.T
    gains = (shapes @ rest) ** 2 / np.maximum((shapes**2).sum(axis=1), 1e-9)
    centre, width = starts[int(gains.argmax())]
    return np.array([centre, np.log(width), FLATNESS]), float(rest @ rest - gains.max())


def _fitted(
    kind: Kind,
    offsets: NDArray[np.float64],
    grey: NDArray[np.float64],
    start: NDArray[np.float64],
    limits: _Limits,
) -> ProfileFit:
    from scipy.optimize import least_squares

    def linear(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        shape = _shape(kind, offsets, values[0], np.exp(values[1]), values[2])
        design = np.stack([shape, np.ones_like(offsets), offsets], axis=1)
        coefficients = np.asarray(np.linalg.lstsq(design, grey, rcond=None)[0], np.float64)
        return coefficients, np.asarray(design @ coefficients - grey, np.float64)

    def rest(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return linear(values)[1]

    low = [-limits.centre_px, np.log(LEAST_WIDTH_PX), FLATNESS_LIMITS[0]]
    high = [limits.centre_px, np.log(limits.width_px), FLATNESS_LIMITS[1]]
    found = least_squares(rest, start, bounds=(low, high), xtol=1e-4, ftol=1e-4).x
    amplitude, base, slope = linear(found)[0].tolist()
    width = float(np.exp(found[1]))
    return ProfileFit(kind, float(found[0]), width, float(found[2]), amplitude, base, slope)
