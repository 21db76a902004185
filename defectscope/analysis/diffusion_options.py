"""Options of the analysis of movement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from defectscope import Options
from defectscope.core.errors import OptionError

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

__all__ = ["DiffusionOptions"]


class DiffusionOptions(Options):
    """Options of the analysis ``diffusion``."""

    lag: int = Field(1, ge=1, le=10_000, description="τ of D_eff, frames that were looked at")
    largest_lag: int = Field(
        20,
        ge=2,
        le=10_000,
        description="longest lag of the mean squared displacement, frames that were looked at",
    )
    min_sightings: int = Field(5, ge=2, description="tracks of fewer sightings are left out")
    bins: int = Field(50, ge=1, le=10_000, description="bins of size, P2: 50")
    smallest_size: float | None = Field(
        None, ge=0, description="lower end of the bins (nm, or px); none: 2 nm, or the least size"
    )
    largest_size: float | None = Field(
        None, gt=0, description="upper end of the bins; none: 18 nm, or the largest size"
    )

    @model_validator(mode="after")
    def _bins_have_a_width(self) -> Self:
        low, high = self.smallest_size, self.largest_size
        if low is not None and high is not None and low >= high:
            raise ValueError(
                f"largest_size must be above smallest_size, found {high:g} and {low:g}"
            )
        return self

    def ends(self, sizes: pd.Series, unit: str) -> tuple[float, float]:
        """Return the ends of the bins of size.

        Parameters
        ----------
        sizes
            (n,) sizes, in `unit`.
        unit
            ``nm`` or ``px``.

        Raises
        ------
        OptionError
            The bins end before they begin.
        """
        first, last = self.smallest_size, self.largest_size
        usual = (2.0, 18.0) if unit == "nm" else (float(sizes.min()), float(sizes.max()))
        low, high = usual[0] if first is None else first, usual[1] if last is None else last
        if low > high or (low == high and unit == "nm"):
            raise OptionError(
                f"diffusion: bins of size must end above where they begin, found {low:g} to "
                f"{high:g} {unit}; set both smallest_size and largest_size"
            )
        # One size alone has a bin, too.
        return low, max(high, low + 1e-9)
