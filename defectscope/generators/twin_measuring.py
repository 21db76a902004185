"""How the lines of an image look, as styles to draw their twins in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import InputError
from defectscope.core.line_profiles import MeasuredLine, measure_lines
from defectscope.generators.line_contrast import LineStyle
from defectscope.generators.twin_background import around_lines, measure_background
from defectscope.generators.twin_crowding import told_apart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.generators.twin_options import TwinOptions

__all__ = ["TwinLine", "grain_size", "measured_lines", "set_lines"]

# A line fainter than this many standard errors tells its contrast, but neither width nor course.
CLEAR_FROM = 4.0
# Grain inside a line never exceeds its own contrast by more than a little.
LARGEST_ROUGHNESS = 1.0
# Contrast along a line stays within these factors of its mean.
LEVELS = (0.0, 3.0)
SET_ROUGHNESS = 0.25
# Neighbouring pixels less alike than this are white noise; those of a sigma of 3 px are alike so.
WHITE_BELOW = 0.1
COARSEST_GRAIN = 0.973


@dataclass(frozen=True)
class TwinLine:
    """How the twin of one line is drawn.

    Parameters
    ----------
    style
        Its strength is in grey where the line was measured, else in the texture of the canvas.
    level
        (k,) contrast at each point / its mean, or None for one drawn at random.
    significance
        Of a measured line: its contrast / the standard error from the grain beside it.
    beside_px
        Of a measured line: how far it lies beside its label, root mean square.
    """

    style: LineStyle
    level: NDArray[np.float64] | None = None
    significance: float | None = None
    beside_px: float | None = None

    def record(self) -> dict[str, Any]:
        """Return everything but the level as values that JSON can hold."""
        measured = {"significance": self.significance, "label_beside_px": self.beside_px}
        return self.style.record() | measured


def set_lines(count: int, options: TwinOptions, rng: np.random.Generator) -> list[TwinLine]:
    """Return lines that all look as the options say; fringes differ by their phase."""
    style = LineStyle(
        options.contrast,
        options.strength,
        options.width_px,
        variation=options.variation,
        roughness=SET_ROUGHNESS if options.roughness is None else options.roughness,
        fringe_px=8 * options.width_px,
    )
    phases = rng.uniform(0, 2 * np.pi, count)
    return [TwinLine(replace(style, fringe_phase=float(phase))) for phase in phases]


def measured_lines(
    pixels: NDArray[np.float32],
    paths: Sequence[NDArray[np.float64]],
    options: TwinOptions,
    name: str,
) -> list[TwinLine]:
    """Measure lines on an image.

    Lines that hardly stand out of the grain get the median width of the others; those of which
    nothing can be seen, the median contrast too.

    Parameters
    ----------
    pixels
        (H, W) float32 grey.
    paths
        (k, 2) points of each line.
    options
        Of the generator.
    name
        Of the image, for the message.

    Raises
    ------
    InputError
        No line can be seen.
    """
    found = measure_lines(pixels, paths, follow_px=options.follow_px)
    widths = [1.0 if line is None else line.width_px for line in found]
    covered = around_lines(pixels.shape, paths, widths)
    excess = pixels - measure_background(pixels, covered).level
    found = told_apart(excess, paths, found, options.follow_px)
    grain_px = grain_size(excess, covered)
    clear = [line for line in found if line is not None and line.significance >= CLEAR_FROM]
    if not clear:
        raise InputError(
            f"none of the {len(paths)} labelled lines stands out of the grain of {name}; name the "
            "image that was labelled with --set twin.image=FILE, or draw lines of a set look "
            "with --set twin.lines=set"
        )
    width = float(np.median([line.width_px for line in clear]))
    contrast = float(np.median([line.contrast for line in clear if line.kind == clear[0].kind]))
    middle = replace(clear[0], width_px=width, contrast=contrast, significance=0.0)
    twins = [_twin(line, middle, options) for line in found]
    return [replace(twin, style=replace(twin.style, roughness_px=grain_px)) for twin in twins]


def grain_size(excess: NDArray[np.float32], covered: NDArray[np.bool_]) -> float:
    """Return the sigma of the Gaussian that would make grain as coarse out of white noise, px."""
    apart = ~covered
    alike = []
    for pixels, free in ((excess, apart), (excess.T, apart.T)):
        pairs = free[1:] & free[:-1]
        first, second = pixels[:-1][pairs], pixels[1:][pairs]
        scale = float(first.std() * second.std()) if pairs.any() else 0.0
        shared = float((first * second).mean() - first.mean() * second.mean()) if scale else 0.0
        alike.append(shared / scale if scale else 0.0)
    # Neighbours in white noise under a Gaussian are alike by exp(-1 / (4 sigma²)).
    correlation = min(max(float(np.mean(alike)), 0.0), COARSEST_GRAIN)
    return 0.0 if correlation < WHITE_BELOW else float(np.sqrt(-0.25 / np.log(correlation)))


def _twin(line: MeasuredLine | None, middle: MeasuredLine, options: TwinOptions) -> TwinLine:
    seen = middle if line is None else line
    clear = seen.significance >= CLEAR_FROM
    grain = min(seen.grain, LARGEST_ROUGHNESS)
    style = LineStyle(
        seen.kind,
        abs(seen.contrast),
        seen.width_px if clear else middle.width_px,
        seen.flatness if clear else 2.0,
        seen.side,
        variation=options.variation,
        roughness=grain if options.roughness is None else options.roughness,
    )
    style = replace(style, width_px=max(style.width_px, 1.0))
    if line is None:
        return TwinLine(style)
    level = np.clip(line.level, *LEVELS) if clear else None
    beside = float(np.sqrt(np.mean(line.shift_px**2)))
    return TwinLine(style, level, line.significance, beside)
