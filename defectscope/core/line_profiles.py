"""Width, contrast and grain of lines, measured on the grey across them (P1, Fig. 14).

P1: Govind et al., who compared the grey along a line across dislocations of a real image and of
its synthetic twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from defectscope.core.profile_fit import ProfileFit, fit_profile, profile_shape
from defectscope.core.ribbons import Ribbon, known_mean, smoothed_along, straightened

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["REACH_PX", "MeasuredLine", "amplitudes_along", "measure_lines"]

# How far to look on either side of a line; doubled for lines that fill it.
REACH_PX = 12.0
LARGEST_REACH_PX = 48.0
WIDEST_SHARE = 0.9
# The course of a line is followed over this distance along it (standard deviation), its contrast
# over a shorter one, for thickness fringes come every 20 px or so.
SMOOTHING_PX = 5.0
LEVEL_SMOOTHING_PX = 2.5
# Against the misfit of the profile, a shift by the largest that is followed costs this.
SHIFT_COST = 0.3
SHIFT_STEP_PX = 0.25
FOLLOWING_ROUNDS = 2
# A Gaussian average counts as one independent value over this many standard deviations.
INDEPENDENT = 3.5


@dataclass(frozen=True)
class MeasuredLine:
    """What one line looks like.

    Parameters
    ----------
    kind
        ``dark``, ``bright``, or ``double``: black on one side, white on the other.
    contrast
        Peak grey of the averaged profile over its surroundings; negative is dark. Of a double
        line the positive height of its peaks.
    width_px
        Full width at half maximum; of a double line between the outer half maxima.
    flatness
        Exponent of the profile: 2 is a Gaussian, larger is flatter with harder edges.
    side
        1 or -1: on which side a double line is white.
    significance
        Contrast / its standard error from the grain beside the line.
    level
        (k,) contrast at each point of the line / its mean, as far as it stands out of the grain.
    grain
        Standard deviation of the grain in the line, beyond that beside it, / contrast.
    roughness
        Root mean square by which single profiles differ from the averaged one within the
        line's width, in grey.
    shift_px
        (k,) how far the line lies to the right of where it was said to lie.
    ribbon
        The grey around the line, with the shift undone.
    fit
        The model of the averaged profile.
    """

    kind: Literal["dark", "bright", "double"]
    contrast: float
    width_px: float
    flatness: float
    side: int
    significance: float
    level: NDArray[np.float64]
    grain: float
    roughness: float
    shift_px: NDArray[np.float64]
    ribbon: Ribbon
    fit: ProfileFit


def measure_lines(
    pixels: NDArray[np.float32],
    lines: Sequence[NDArray[np.float64]],
    *,
    others: Sequence[NDArray[np.float64]] = (),
    reach_px: float = REACH_PX,
    follow_px: float = 2.0,
) -> list[MeasuredLine | None]:
    """Measure lines on an image.

    Places nearer to another line do not count.

    Parameters
    ----------
    pixels
        (H, W) float32 grey.
    lines
        (k, 2) points x, y of each, about 1 px apart.
    others
        More lines, which are not measured.
    reach_px
        How far to look on either side; doubled, up to 48 px, where a line fills it.
    follow_px
        Labels lie beside the line by a pixel or two, which would make their average broader and
        fainter than the line: shifts up to this are undone first. 0 takes lines as they are.

    Returns
    -------
    One entry a line; None where too little of it lies inside the image and apart from others.
    """
    found = []
    everything = [*lines, *others]
    for k in range(len(lines)):
        reach = reach_px
        while True:
            follow = min(follow_px, reach / 3)
            # A little more, so that what is left after shifts reaches equally far everywhere.
            ribbon = straightened(pixels, everything, k, reach + follow)
            measured = _measure(ribbon, reach, follow)
            wide = measured is not None and measured.width_px > WIDEST_SHARE * reach
            if not wide or 2 * reach > LARGEST_REACH_PX:
                break
            reach *= 2
        found.append(measured)
    return found


def _measure(ribbon: Ribbon, reach_px: float, follow_px: float) -> MeasuredLine | None:
    shift = np.zeros(len(ribbon.grey))
    straight = ribbon.within(reach_px)
    fit = fit_profile(straight.offsets_px, straight.averaged())
    if fit is None:
        return None
    for _ in range(FOLLOWING_ROUNDS if follow_px > 0 else 0):
        shift = _followed(ribbon, fit, follow_px)
        straight = ribbon.shifted(shift).within(reach_px)
        better = fit_profile(straight.offsets_px, straight.averaged())
        fit = fit if better is None else better
    level, significance = _level(amplitudes_along(straight, fit), _amplitudes_beside(straight, fit))
    kind: Literal["dark", "bright", "double"] = "double"
    if fit.kind == "single":
        kind = "dark" if fit.amplitude < 0 else "bright"
    return MeasuredLine(
        kind,
        abs(fit.amplitude) if kind == "double" else fit.amplitude,
        fit.width_px,
        fit.flatness,
        1 if fit.amplitude > 0 else -1,
        significance,
        level,
        _grain(straight, fit, level),
        _roughness(straight, fit),
        shift + fit.centre_px,
        straight,
        fit,
    )


def _followed(ribbon: Ribbon, fit: ProfileFit, largest_px: float) -> NDArray[np.float64]:
    """Return the (k,) shifts at which a line fits its own average best."""
    smooth = smoothed_along(ribbon.grey, SMOOTHING_PX)
    shifts = np.arange(-largest_px, largest_px + SHIFT_STEP_PX / 2, SHIFT_STEP_PX)
    signal = float((fit.line(ribbon.offsets_px) ** 2).mean())
    costs = np.empty((len(shifts), len(smooth)))
    for position, shift in enumerate(shifts):
        # From the line as it was said to lie, so that a shift of all of it shows too.
        rest = smooth - fit.line(ribbon.offsets_px - shift + fit.centre_px)
        misfit = known_mean(rest**2, axis=1) - known_mean(rest, axis=1) ** 2
        costs[position] = misfit + SHIFT_COST * signal * (shift / largest_px) ** 2
    best = shifts[np.argmin(np.where(np.isfinite(costs), costs, np.inf), axis=0)]
    # Where nothing is known all costs are infinite, and the label is believed.
    best[~np.isfinite(costs).any(axis=0)] = 0.0
    return smoothed_along(best, SMOOTHING_PX)


def amplitudes_along(
    ribbon: Ribbon, fit: ProfileFit, sigma_px: float = LEVEL_SMOOTHING_PX
) -> NDArray[np.float64]:
    """Return the (k,) amplitudes of a profile at each point of a line; NaN where unknown.

    Parameters
    ----------
    ribbon
        The grey around the line.
    fit
        The profile.
    sigma_px
        Standard deviation of the Gaussian that smooths along the line.
    """
    shape = profile_shape(fit, ribbon.offsets_px)
    return _projected(smoothed_along(ribbon.grey, sigma_px), shape)


def _amplitudes_beside(ribbon: Ribbon, fit: ProfileFit) -> NDArray[np.float64]:
    """Return what the grain on either side looks like to the profile."""
    rest = smoothed_along(ribbon.grey, LEVEL_SMOOTHING_PX) - fit.line(ribbon.offsets_px)
    sides = (ribbon.offsets_px + step * fit.width_px for step in (-1.5, 1.5))
    return np.concatenate([_projected(rest, profile_shape(fit, side)) for side in sides])


def _projected(grey: NDArray[np.float64], shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (k,) amplitudes of a (m,) shape in (k, m) rows, over a level of their own."""
    known = np.isfinite(grey)
    count = np.maximum(known.sum(axis=1), 1)
    values = np.where(known, grey, 0.0)
    shapes = np.where(known, shape, 0.0)
    mean, level = shapes.sum(axis=1) / count, values.sum(axis=1) / count
    centred = np.where(known, shapes - mean[:, None], 0.0)
    energy = (centred**2).sum(axis=1)
    # A row that hardly sees the line says nothing about it.
    usable = energy > 0.2 * float(((shape - shape.mean()) ** 2).sum())
    amplitude = (centred * (values - level[:, None])).sum(axis=1) / np.maximum(energy, 1e-12)
    return np.where(usable, amplitude, np.nan)


def _level(
    amplitude: NDArray[np.float64], noise: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return the relative level along the line, and the significance of the mean amplitude."""
    known = np.isfinite(amplitude)
    if not known.any():
        return np.ones(len(amplitude)), 0.0
    mean = float(amplitude[known].mean())
    noise = noise[np.isfinite(noise)]
    variance = float((noise**2).mean()) if len(noise) else 0.0
    independent = 1 + known.sum() / (INDEPENDENT * LEVEL_SMOOTHING_PX)
    significance = abs(mean) / max(np.sqrt(variance / independent), 1e-9)
    # What the grain alone would make of an even line is not the line's.
    spread = float(amplitude[known].var())
    kept = max(0.0, 1 - variance / spread) if spread > 0 else 0.0
    relative = np.where(known, amplitude, mean) / (mean if abs(mean) > 1e-9 else 1.0)
    return 1 + kept * (relative - 1), float(significance)


def _grain(ribbon: Ribbon, fit: ProfileFit, level: NDArray[np.float64]) -> float:
    shape = profile_shape(fit, ribbon.offsets_px)
    rest = ribbon.grey - level[:, None] * fit.line(ribbon.offsets_px)
    rest = rest - smoothed_along(rest, LEVEL_SMOOTHING_PX)
    core = shape**2 > 0.25
    beside = np.abs(ribbon.offsets_px - fit.centre_px) > fit.width_px
    inner, outer = rest[:, core], rest[:, beside]
    if not np.isfinite(inner).any() or not np.isfinite(outer).any():
        return 0.0
    excess = float(np.nanvar(inner) - np.nanvar(outer)) / float((shape[core] ** 2).mean())
    return float(np.sqrt(max(excess, 0.0)) / max(abs(fit.amplitude), 1e-9))


def _roughness(ribbon: Ribbon, fit: ProfileFit) -> float:
    near = np.abs(ribbon.offsets_px - fit.centre_px) <= fit.width_px / 2
    rest = (ribbon.grey - ribbon.averaged())[:, near]
    return float(np.sqrt(np.nanmean(rest**2))) if np.isfinite(rest).any() else float("nan")
