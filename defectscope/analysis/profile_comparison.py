"""Grey across dislocations, of an image and of its synthetic twin (P1, Fig. 14).

P1: Govind et al., who found the profiles of their twin much smoother than the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from defectscope.analysis.line_matching import SAME_LINE_PX, matching_lines
from defectscope.analysis.profile_tables import Profiled, line_table, profile_table
from defectscope.core.errors import UsageError
from defectscope.core.line_profiles import REACH_PX, measure_lines

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["ProfileComparison", "compare_profiles"]


@dataclass(frozen=True)
class ProfileComparison:
    """Profiles and what they tell of each line.

    Parameters
    ----------
    profiles
        ``line`` (from 0; empty in the mean of all lines), ``kind`` (``single``: across one
        place of the line, ``averaged``: along all of it, ``mean``: of all lines), ``offset_px``,
        ``real_grey``, ``twin_grey`` (0 to 1).
    lines
        One row a line: ``line``, ``length_px``, ``twin_distance_px`` (mean distance of the twin's
        line), and with the prefixes ``real_`` and ``twin_``: ``contrast_kind``, ``width_px`` (full
        width at half maximum), ``contrast`` (grey; negative is dark), ``roughness`` (root mean
        square in grey by which single profiles differ from their average within the width), and
        ``beside_px`` (how far the line lies beside where it is said to lie, root mean square).
    real, twin
        What was measured; `twin` may be None.
    """

    profiles: pd.DataFrame
    lines: pd.DataFrame
    real: Profiled
    twin: Profiled | None


def compare_profiles(
    real: NDArray[np.float32],
    lines: Sequence[NDArray[np.float64]],
    twin: NDArray[np.float32] | None = None,
    twin_lines: Sequence[NDArray[np.float64]] = (),
    *,
    reach_px: float = REACH_PX,
    follow_px: float = 2.0,
) -> ProfileComparison:
    """Measure the grey across labelled lines, and across the same lines of a twin.

    Parameters
    ----------
    real
        (H, W) float32 grey, 0 to 1.
    lines
        (k, 2) points x, y of each labelled line, about 1 px apart.
    twin
        Grey of the twin, of the same proportions; offsets and widths are given in px of `real`.
    twin_lines
        Its lines, in px of the twin, in any order; those without a label beside them do not count.
    reach_px
        How far to look on either side of a line; doubled for lines that fill it.
    follow_px
        Shifts of a line against its label up to this are undone before profiles are averaged.

    Raises
    ------
    UsageError
        There is no line, or the twin has other proportions, or none of its lines is labelled.
    """
    if not len(lines):
        raise UsageError("there is no line to take profiles of; label at least one")
    reach_px = _common_reach(real, lines, reach_px, follow_px)
    first = _profiled(real, lines, 1.0, reach_px, follow_px)
    second, distances = None, [float("nan")] * len(lines)
    if twin is not None:
        scale = _scale(real, twin)
        matches = matching_lines(lines, [line / scale for line in twin_lines])
        if all(match is None for match in matches):
            raise UsageError(
                f"no line of the twin lies within {SAME_LINE_PX:g} px of a labelled one; expected "
                "a twin that was drawn from these labels"
            )
        distances = [float("nan") if match is None else match[1] for match in matches]
        kept = [None if match is None else twin_lines[match[0]] for match in matches]
        second = _profiled(twin, kept, scale, reach_px, follow_px)
    return ProfileComparison(
        profile_table(first, second), line_table(first, second, distances), first, second
    )


def _scale(real: NDArray[np.float32], twin: NDArray[np.float32]) -> float:
    height, width = (b / a for a, b in zip(real.shape, twin.shape, strict=True))
    if abs(height - width) * max(real.shape) > 1 + max(height, width):
        raise UsageError(
            f"the twin has {twin.shape[1]} x {twin.shape[0]} px and the image {real.shape[1]} x "
            f"{real.shape[0]} px; expected the same proportions"
        )
    return float(width)


def _common_reach(
    pixels: NDArray[np.float32],
    lines: Sequence[NDArray[np.float64]],
    reach_px: float,
    follow_px: float,
) -> float:
    """Return how far to look for the widest line, so that the mean is of all lines everywhere."""
    found = measure_lines(pixels, lines, reach_px=reach_px, follow_px=follow_px)
    return max((float(m.ribbon.offsets_px[-1]) for m in found if m is not None), default=reach_px)


def _profiled(
    pixels: NDArray[np.float32],
    lines: Sequence[NDArray[np.float64] | None],
    scale: float,
    reach_px: float,
    follow_px: float,
) -> Profiled:
    present = [line for line in lines if line is not None]
    reach, follow = reach_px * scale, follow_px * scale
    found = iter(measure_lines(pixels, present, reach_px=reach, follow_px=follow))
    measured = tuple(None if line is None else next(found) for line in lines)
    return Profiled(pixels, tuple(lines), measured, scale)
