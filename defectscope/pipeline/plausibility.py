"""Calibrations that are possible, but hardly meant: mostly a value in another unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from defectscope.core.calibration import Calibration

__all__ = ["implausible"]


class _Range(NamedTuple):
    """What a value is called with its unit, and outside of which limits it means what."""

    name: str
    unit: str
    low: float
    too_low: str
    high: float
    too_high: str


PLAUSIBLE = {
    "pixel_size_nm": _Range(
        "pixel size", "nm", 1e-3, "is far smaller than an atom", 100.0, "shows no defect"
    ),
    "frame_interval_s": _Range(
        "frame interval", "s", 1e-6, "is shorter than any camera's", 1e5, "is longer than a day"
    ),
    "thickness_nm": _Range(
        "thickness", "nm", 0.2, "is thinner than an atom", 1e4, "lets no electrons through"
    ),
}


def implausible(calibration: Calibration) -> list[str]:
    """Return what is hardly meant, each as a warning that names the unit that is assumed."""
    found = []
    for field, known in PLAUSIBLE.items():
        value = getattr(calibration, field)
        if value is None or known.low <= value <= known.high:
            continue
        why = known.too_low if value < known.low else known.too_high
        found.append(f"{known.name} in {known.unit}: {value:g} {known.unit} {why}; check the unit")
    return found
