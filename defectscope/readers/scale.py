"""Pixel sizes and times as files give them, in nanometres and seconds."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np

from defectscope.readers.pixels import warn_once

__all__ = [
    "in_nanometres",
    "in_seconds",
    "note_unknown_unit",
    "sizes_differ",
    "square_pixel_nm",
    "uneven_steps",
]

TOLERANCE = 0.01
# Units go without the s of a plural, and metre is spelled meter.
NANOMETRES = {
    "pm": 1e-3,
    "picometer": 1e-3,
    "a": 0.1,
    "å": 0.1,
    "angstrom": 0.1,
    "angström": 0.1,
    "ångstrom": 0.1,
    "ångström": 0.1,
    "nm": 1.0,
    "nanometer": 1.0,
    "um": 1e3,
    "μm": 1e3,
    "micron": 1e3,
    "micrometer": 1e3,
    "mm": 1e6,
    "millimeter": 1e6,
    "cm": 1e7,
    "centimeter": 1e7,
    "inch": 2.54e7,
    "inche": 2.54e7,
    "m": 1e9,
    "meter": 1e9,
}
SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "ns": 1e-9,
    "nsec": 1e-9,
    "nanosecond": 1e-9,
    "μs": 1e-6,
    "us": 1e-6,
    "usec": 1e-6,
    "μsec": 1e-6,
    "microsecond": 1e-6,
    "ms": 1e-3,
    "msec": 1e-3,
    "millisecond": 1e-3,
    "ks": 1e3,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hour": 3600.0,
}
# What programs write for an axis without a scale: nothing, or what it counts.
COUNTED = ("", "<undefined>", "none", "px", "pixel", "frame", "image", "slice", "page", "time",
           "reference frame")  # fmt: skip
# Of diffraction patterns and spectra.
OTHER_QUANTITY = re.compile(r"1 ?/.*|.*\^?[-\u2212]1|m?rad|k?ev|deg(ree)?|°")


def in_nanometres(size: float, unit: str | None) -> float | None:
    """Return a length in nm, or None where the unit is no length or the size is no number.

    Parameters
    ----------
    size
        Edge of a pixel; a mirrored axis has a negative one.
    unit
        As the file spells it: ``nm``, ``Å``, ``micron``, ``µm``, ...
    """
    factor = _factor(unit, NANOMETRES)
    length = abs(float(size))
    if factor is None or not math.isfinite(length) or length == 0:
        return None
    return length * factor


def in_seconds(time: float, unit: str | None) -> float | None:
    """Return a time in s, or None where the unit is no time or the time is not above 0.

    Parameters
    ----------
    time
        From one frame to the next.
    unit
        As the file spells it: ``s``, ``ms``, ``µs``, ``min``, ...
    """
    factor = _factor(unit, SECONDS)
    seconds = float(time)
    if factor is None or not math.isfinite(seconds) or seconds <= 0:
        return None
    return seconds * factor


def note_unknown_unit(unit: str | None, unknown: str, warnings: list[str]) -> None:
    """Say where a unit is none that is known, so that nobody takes the file for one without scale.

    Parameters
    ----------
    unit
        As the file spells it. None, ``pixel`` and the like, and those of diffraction patterns and
        spectra are nothing to tell.
    unknown
        What is left unknown for that, as a noun phrase.
    warnings
        Where to say it.
    """
    spelled = _spelled(unit)
    if spelled in COUNTED or spelled.removesuffix("s") in COUNTED:
        return
    if OTHER_QUANTITY.fullmatch(spelled):
        return
    if _factor(unit, NANOMETRES) is None and _factor(unit, SECONDS) is None:
        warn_once(warnings, f"the unit {unit!r} in the file is not known; {unknown} left unknown")


def _spelled(unit: str | None) -> str:
    # NFKC makes one character each of the two that stand for micro and for Ångström.
    spelled = unicodedata.normalize("NFKC", unit or "").strip().casefold()
    return re.sub(r"metre(s?)$", r"meter\1", spelled)


def _factor(unit: str | None, factors: Mapping[str, float]) -> float | None:
    spelled = _spelled(unit)
    return factors.get(spelled, factors.get(spelled.removesuffix("s")))


def square_pixel_nm(
    x: tuple[float, str | None], y: tuple[float, str | None], warnings: list[str]
) -> float | None:
    """Return the edge of a square pixel in nm, or None where there is none.

    Parameters
    ----------
    x, y
        (size, unit) along each axis.
    warnings
        Where to say that the pixels are not square, by more than 1 %, or that a unit is not known.
    """
    for _, unit in (x, y):
        note_unknown_unit(unit, "the pixel size is", warnings)
    x_nm, y_nm = in_nanometres(*x), in_nanometres(*y)
    if x_nm is None or y_nm is None:
        return None
    if sizes_differ(x_nm, y_nm):
        warn_once(
            warnings,
            f"the pixels are not square: {x[0]:.6g} {x[1]} ({x_nm:.6g} nm) along x, "
            f"{y[0]:.6g} {y[1]} ({y_nm:.6g} nm) along y; the pixel size is left unknown",
        )
        return None
    return (x_nm + y_nm) / 2


def sizes_differ(first: float | None, second: float | None) -> bool:
    """Return whether two pixel sizes differ by more than 1 %, or only one is known."""
    if first is None or second is None:
        return first is not second
    return abs(first - second) > TOLERANCE * max(first, second)


def uneven_steps(times: Sequence[float], rounding: float = 0) -> tuple[float, float] | None:
    """Return the shortest and the longest step from time to time, in usual ones.

    Parameters
    ----------
    times
        In their order.
    rounding
        By how much a step may be off besides, where the times were rounded to that.

    Returns
    -------
    (float, float) or None
        None where all steps are alike: within half of the usual one and `rounding`.
    """
    steps = np.diff(np.asarray(times))
    usual = float(np.median(steps)) if steps.size else 0.0
    if usual <= 0:
        return None
    shortest, longest = float(steps.min()) / usual, float(steps.max()) / usual
    within = 0.5 + rounding / usual
    return (shortest, longest) if shortest < 1 - within or longest > 1 + within else None
