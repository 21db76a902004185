"""A model of the grey across a line, fitted to an averaged profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ProfileFit", "fit_profile", "profile_shape"]

Kind = Literal["single", "double"]
# A black-white pair u·exp((1 - u²)/2) falls to half of its extremes at this u outside them.
DOUBLE_HALF_AT = 1.92162
FLATNESS_LIMITS = (1.5, 4.0)
LARGEST_CENTRE_PX = 3.0
# Of the grid on which the fit starts: widths grow by this factor, centres by this distance.
FLATNESS = 2.2
WIDTH_FACTOR = 1.25
CENTRE_STEP_PX = 0.75
# Then the best neighbour is gone to, in steps that are halved where there is no better one.
FLATNESS_STEP = 0.5
NEIGHBOURS = np.stack(np.meshgrid(*3 * [[0, -1, 1]], indexing="ij"), axis=-1).reshape(-1, 3)
HALVINGS = 9
MOST_STEPS = 60
LEAST_WIDTH_PX = 1.0
# A line counts as double where that leaves so much less of the profile unexplained.
DOUBLE_BELOW = 0.45
# A neighbour may hide one half of a pair: this much of either must be seen to tell it.
SEEN_HALF = 0.8
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
    kind: Kind, offsets_px: NDArray[np.float64], centre: Any, width: Any, flatness: Any
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
    profile = _Profile(offsets_px[known], grey[known])
    single, rest = profile.refined("single")
    pair, pair_rest = profile.refined("double")
    if pair_rest < DOUBLE_BELOW * rest and profile.shows_both_sides(pair):
        return profile.fit("double", pair)
    return profile.fit("single", single)


class _Profile:
    """A profile to fit to; places are rows of centre, log of the width, and flatness."""

    def __init__(self, offsets: NDArray[np.float64], grey: NDArray[np.float64]) -> None:
        self.offsets, self.grey = offsets, grey
        reach = float(np.abs(offsets).max())
        largest, widest = min(LARGEST_CENTRE_PX, reach / 3), max(1.5 * reach, 2 * LEAST_WIDTH_PX)
        self.low = np.array([-largest, np.log(LEAST_WIDTH_PX), FLATNESS_LIMITS[0]])
        self.high = np.array([largest, np.log(widest), FLATNESS_LIMITS[1]])
        # What a sloping base explains is taken off, so that the amplitude alone is left to fit.
        base = np.stack([np.ones_like(offsets), offsets], axis=1)
        self.basis = np.linalg.qr(base)[0]
        self.rest = grey - self.basis @ (self.basis.T @ grey)

    def starts(self) -> NDArray[np.float64]:
        """Return a grid of places that is coarse, and fine enough to find the right valley."""
        centres = np.arange(self.low[0], self.high[0] + 1e-9, CENTRE_STEP_PX)
        log_widths = np.arange(self.low[1], self.high[1], np.log(WIDTH_FACTOR))
        grid = np.meshgrid(centres, log_widths, [FLATNESS], indexing="ij")
        return np.stack(grid, axis=-1).reshape(-1, 3)

    def best_of(self, kind: Kind, places: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Return the place that fits best, and the square sum that it leaves unexplained."""
        places = np.clip(places, self.low, self.high)
        centre, log_width, flatness = places.T[..., None]
        shapes = _shape(kind, self.offsets, centre, np.exp(log_width), flatness)
        shapes = shapes - shapes @ self.basis @ self.basis.T
        gains = (shapes @ self.rest) ** 2 / np.maximum((shapes**2).sum(axis=1), 1e-9)
        best = int(gains.argmax())
        return places[best], float(self.rest @ self.rest - gains[best])

    def refined(self, kind: Kind) -> tuple[NDArray[np.float64], float]:
        """Return the place that fits best of all, and what it leaves unexplained."""
        place, rest = self.best_of(kind, self.starts())
        step = 0.5 * np.array([CENTRE_STEP_PX, np.log(WIDTH_FACTOR), FLATNESS_STEP])
        halvings = 0
        for _ in range(MOST_STEPS):
            better, rest = self.best_of(kind, place + step * NEIGHBOURS)
            if np.allclose(better, place, rtol=0, atol=1e-12):
                step, halvings = step / 2, halvings + 1
                if halvings == HALVINGS:
                    break
            place = better
        return place, rest

    def shows_both_sides(self, place: NDArray[np.float64]) -> bool:
        """Whether both halves of a pair at this place are within what is known."""
        half = SEEN_HALF * float(np.exp(place[1])) / 2
        low, high = self.offsets.min(), self.offsets.max()
        return bool(low < place[0] - half and high > place[0] + half)

    def fit(self, kind: Kind, place: NDArray[np.float64]) -> ProfileFit:
        """Return the profile at a place, with the amplitude and base that fit best."""
        centre, width, flatness = float(place[0]), float(np.exp(place[1])), float(place[2])
        shape = _shape(kind, self.offsets, centre, width, flatness)
        design = np.stack([shape, np.ones_like(shape), self.offsets], axis=1)
        amplitude, base, slope = np.linalg.lstsq(design, self.grey, rcond=None)[0].tolist()
        return ProfileFit(kind, centre, width, flatness, amplitude, base, slope)
