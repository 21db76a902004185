"""The time between frames that OME metadata give: for all frames, or plane by plane."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import numpy as np

from defectscope.readers.pixels import warn_once
from defectscope.readers.scale import in_seconds, note_unknown_unit, uneven_steps

__all__ = ["UNKNOWN_INTERVAL", "ome_interval"]

UNKNOWN_INTERVAL = "the frame interval is"
# Times of planes are measured and rounded ones: each may be that part of the interval off.
MOST_OFF = 0.5


def ome_interval(pixels: Sequence[ElementTree.Element], warnings: list[str]) -> float | None:
    """Return the time between frames in s, or None where none is given or it varies.

    Parameters
    ----------
    pixels
        The ``Pixels`` elements of a file.
    warnings
        Where to say that its unit is not known, or that the frames are uneven in time.
    """
    given = {
        (_number(element.attrib["TimeIncrement"]), element.attrib.get("TimeIncrementUnit", "s"))
        for element in pixels
        if "TimeIncrement" in element.attrib
    }
    for _, unit in given:
        note_unknown_unit(unit, UNKNOWN_INTERVAL, warnings)
    intervals = {in_seconds(*interval) for interval in given}
    if not given and len(pixels) == 1:
        return _interval_of_planes(pixels[0], warnings)
    return intervals.pop() if len(intervals) == 1 else None


def _interval_of_planes(pixels: ElementTree.Element, warnings: list[str]) -> float | None:
    times = _plane_times(pixels, warnings)
    if len(times) < 2 or sorted(times) != list(range(len(times))):
        return None
    ordered = [times[t] for t in range(len(times))]
    interval = (ordered[-1] - ordered[0]) / (len(ordered) - 1)
    if not math.isfinite(sum(ordered)) or interval <= 0:
        return None
    off = np.asarray(ordered) - ordered[0] - interval * np.arange(len(ordered))
    if uneven_steps(ordered) is None and np.abs(off).max() < MOST_OFF * interval:
        return interval
    steps = np.diff(ordered)
    warn_once(
        warnings,
        f"the times of the images in the OME metadata are uneven (steps of {steps.min():.6g} to "
        f"{steps.max():.6g} s); the frame interval is left unknown: see --frame-times",
    )
    return None


def _plane_times(pixels: ElementTree.Element, warnings: list[str]) -> dict[int, float]:
    """Return the times in s of the planes of one channel and slice, by the number of the time."""
    series: dict[tuple[str | None, str | None], dict[int, float]] = {}
    for element in pixels:
        plane = element.attrib
        if element.tag.rpartition("}")[2] != "Plane" or "DeltaT" not in plane:
            continue
        unit = plane.get("DeltaTUnit", "s")
        note_unknown_unit(unit, UNKNOWN_INTERVAL, warnings)
        second, number = in_seconds(1, unit), _number(plane.get("TheT"))
        if second is None or not number.is_integer():
            return {}
        times = series.setdefault((plane.get("TheC"), plane.get("TheZ")), {})
        times[int(number)] = _number(plane["DeltaT"]) * second
    # The others differ by what it takes to get to them.
    return next(iter(series.values()), {})


def _number(value: str | None) -> float:
    try:
        return float(value or "")
    except ValueError:
        return math.nan
