"""Pixel sizes and times as files give them, in nanometres and seconds."""

from __future__ import annotations

import math
import unicodedata

__all__ = ["in_nanometres", "in_seconds", "sizes_differ", "square_pixel_nm"]

TOLERANCE = 0.01
NANOMETRES = {
    "pm": 1e-3,
    "picometer": 1e-3,
    "a": 0.1,
    "å": 0.1,
    "angstrom": 0.1,
    "ångström": 0.1,
    "nm": 1.0,
    "nanometer": 1.0,
    "um": 1e3,
    "μm": 1e3,
    "micron": 1e3,
    "micrometer": 1e3,
    "mm": 1e6,
    "cm": 1e7,
    "inch": 2.54e7,
    "m": 1e9,
}
SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "ns": 1e-9,
    "μs": 1e-6,
    "us": 1e-6,
    "usec": 1e-6,
    "ms": 1e-3,
    "msec": 1e-3,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}


def in_nanometres(size: float, unit: str | None) -> float | None:
    """Return a length in nm, or None where the unit is no length or the size is no number.

    Parameters
    ----------
    size
        Edge of a pixel; a mirrored axis has a negative one.
    unit
        As the file spells it: ``nm``, ``Å``, ``micron``, ``µm``, ...
    """
    # NFKC makes one character each of the two that stand for micro and for Ångström.
    spelled = unicodedata.normalize("NFKC", unit or "").strip().casefold()
    factor = NANOMETRES.get(spelled, NANOMETRES.get(spelled.removesuffix("s")))
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
    spelled = unicodedata.normalize("NFKC", unit or "").strip().casefold()
    factor = SECONDS.get(spelled, SECONDS.get(spelled.removesuffix("s")))
    seconds = float(time)
    if factor is None or not math.isfinite(seconds) or seconds <= 0:
        return None
    return seconds * factor


def square_pixel_nm(
    x: tuple[float, str | None], y: tuple[float, str | None], warnings: list[str]
) -> float | None:
    """Return the edge of a square pixel in nm, or None where there is none.

    Parameters
    ----------
    x, y
        (size, unit) along each axis.
    warnings
        Where to say that the pixels are not square: by more than 1 %.
    """
    x_nm, y_nm = in_nanometres(*x), in_nanometres(*y)
    if x_nm is None or y_nm is None:
        return None
    if sizes_differ(x_nm, y_nm):
        text = (
            f"the pixels are not square: {x[0]:.6g} {x[1]} ({x_nm:.6g} nm) along x, "
            f"{y[0]:.6g} {y[1]} ({y_nm:.6g} nm) along y; the pixel size is left unknown"
        )
        if text not in warnings:
            warnings.append(text)
        return None
    return (x_nm + y_nm) / 2


def sizes_differ(first: float | None, second: float | None) -> bool:
    """Return whether two pixel sizes differ by more than 1 %, or only one is known."""
    if first is None or second is None:
        return first is not second
    return abs(first - second) > TOLERANCE * max(first, second)
