"""One magnification for everything in an image of ``loops``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from defectscope.generators.loop_options import LoopsOptions

__all__ = ["drawn_magnification", "magnified"]

# Strain contrast is a length in the foil, blur and noise are lengths on the detector: together
# edges widen more slowly than what they surround.
EDGES = ("edge_low_px", "edge_high_px", "line_low_px", "line_high_px", "rough_px",
         "bar_low_px")  # fmt: skip


def drawn_magnification(options: LoopsOptions, rng: np.random.Generator) -> float:
    """Return the magnification of one image; no number is drawn where only one is possible."""
    low, high = options.magnification_low, options.magnification_high
    if low == high:
        return low
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def magnified(options: LoopsOptions, magnification: float) -> LoopsOptions:
    """Return options that draw loops so much larger, so much farther apart.

    Parameters
    ----------
    options
        As for a magnification of 1.
    magnification
        Axes grow with it, densities fall with its square, widths of edges and rings grow with
        its square root.
    """
    if magnification == 1:
        return options
    changes: dict[str, float] = {
        "size": options.size * magnification,
        "density": options.density / magnification**2,
    }
    changes |= {name: getattr(options, name) * math.sqrt(magnification) for name in EDGES}
    return options.model_copy(update=changes)
