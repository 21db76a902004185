"""Hardening by all types of defects together, from that by each of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["ALL_TYPES", "Superposition", "with_total"]

Superposition = Literal["quadratic", "linear"]

ALL_TYPES = "all types"
SUFFIXES = ("", "_error", "_low", "_high")


def with_total(
    table: pd.DataFrame,
    superposition: Superposition = "quadratic",
    common_nm: float = 0.0,
    common_density: float = 0.0,
) -> pd.DataFrame:
    """Return a table of hardening with a row for all types in each frame, after those of each.

    Parameters
    ----------
    table
        ``frame``, ``time_s``, ``dose_dpa``, ``defect_type``, ``mean_nm``, ``hardening_mpa`` and its
        ``_error``, ``_low`` and ``_high``.
    superposition
        ``quadratic``: the root of the sum of the squares; ``linear``: the sum.
    common_nm
        Error that the diameters of all types have in common.
    common_density
        Relative error that the densities of all types have in common, as by the precision and
        recall of one detector.

    Returns
    -------
    DataFrame
        As given where fewer than two types have a known hardening; types without one are left out.

    Notes
    -----
    Errors of the types are independent but for what `common_nm` and `common_density` make of them,
    which adds up, each for itself.
    Limits are put together as the errors are, each by its own distance from the value (Zou &
    Donner, Statistics in Medicine 27 (2008) 1693); of squares where squares are added.
    """
    known = table.dropna(subset=["hardening_mpa"])
    if known["defect_type"].nunique() < 2:
        return table
    names = ["mean_nm", *(f"hardening_mpa{suffix}" for suffix in SUFFIXES)]
    by_type = known.pivot_table(names, "frame", "defect_type", aggfunc="first", dropna=False)
    diameter, value, error, low, high = (by_type[name].to_numpy(float) for name in names)
    with np.errstate(divide="ignore", invalid="ignore"):
        common = value / (2 * error) * np.stack([common_nm / diameter, 0 * value + common_density])
    shared = np.clip(np.nan_to_num(common), 0, 1)
    # The parts of an error are no more than all of it.
    shared /= np.maximum(np.hypot(*shared), 1)
    total = known.groupby("frame")[["time_s", "dose_dpa"]].first().reset_index()
    total["defect_type"] = ALL_TYPES
    power = 2 if superposition == "quadratic" else 1
    whole = (value**power).sum(axis=1)
    found = whole ** (1 / power)
    weight = (value / np.where(found > 0, found, 1)[:, None]) ** (power - 1)
    down = _together(value**power - low**power, shared)
    up = _together(high**power - value**power, shared)
    total["hardening_mpa"] = found
    total["hardening_mpa_error"] = _together(weight * error, shared)
    total["hardening_mpa_low"] = np.maximum(whole - down, 0) ** (1 / power)
    total["hardening_mpa_high"] = (whole + up) ** (1 / power)
    rows = pd.concat([table, total], ignore_index=True)
    return rows.sort_values("frame", kind="stable", ignore_index=True)


def _together(parts: NDArray[np.float64], shared: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (n,) error of a sum whose (n, k) parts have errors that are shared in part.

    `shared` is (m, n, k): of each of m causes, the part of the error that it is of.
    """
    with np.errstate(invalid="ignore"):
        own = ((1 - (shared**2).sum(axis=0)) * parts**2).sum(axis=1)
        joint = np.sqrt(((shared * parts).sum(axis=2) ** 2).sum(axis=0) + np.maximum(own, 0))
    return np.asarray(np.where(np.isinf(parts).any(axis=1), np.inf, joint))
