"""Whether particles move on in one way, as the stage takes them, beside diffusing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["drift_note"]

# So many standard errors above twice the displacement of half the lag are no chance.
SURE = 3.0


def drift_note(curve: pd.DataFrame) -> str:
    """Return a warning where a mean squared displacement bends upwards; else nothing.

    Of diffusion it is a line, with an error of localisation one that starts above zero: at no lag
    is it more than twice that of half the lag. Of a drift it goes with the square of the lag, so
    that D is too large.

    Parameters
    ----------
    curve
        ``lag`` (any unit), ``msd`` and its standard error ``msd_error``, by ascending lag.
    """
    lag = curve["lag"].to_numpy(float)
    msd, error = (curve[name].to_numpy(float) for name in ("msd", "msd_error"))
    if len(lag) < 2 or not np.isfinite(error[-1]):
        return ""
    half, own = (np.interp(lag[-1] / 2, lag, values) for values in (msd, error))
    if msd[-1] - 2 * half <= SURE * np.hypot(error[-1], 2 * own):
        return ""
    return (
        "The displacement grows faster than in proportion to the lag, as of a stage that drifts, "
        "so that D is too large: run with --register, or track with the drift removed (trackpy: "
        "--set trackpy.remove_drift=true)."
    )
