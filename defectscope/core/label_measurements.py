"""Axes of labelled ellipses and lengths of labelled lines, from what people drew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.ellipses import ellipse_area, ellipse_from_moments
from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.geometry.skeletons import mask_course
from defectscope.core.masks import mask_outline, touches_rim

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.instances import Instances
    from defectscope.core.masks import Mask

__all__ = ["measured", "with_axes", "with_courses"]

# Where the rim of the frame cuts a mask, these are the axes of what it left.
ELLIPSE = ("x", "y", "major_px", "minor_px", "angle_deg", "at_rim")
UNITS = {
    "x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg",
    "area_px": "px2", "length_px": "px", "at_rim": "",
}  # fmt: skip


def with_courses(found: Instances, types: Mapping[str, DefectType]) -> Instances:
    """Return instances of which lines that are known by their masks alone have a course.

    It is that of the mask's skeleton, for the way round the mask is about twice as long. `types`
    are the registered defect types: one that is not there is not known to be a line.
    """
    if found.masks is None:
        return found
    known = found.lines or (np.zeros((0, 2)),) * len(found)
    lacking = [
        k
        for k, name in enumerate(found.defect_types)
        if str(name) in types and types[str(name)].shape == "line" and not len(known[k])
    ]
    if not lacking:
        return found
    courses = {k: mask_course(found.masks[k]) for k in lacking}
    return replace(found, lines=tuple(courses.get(k, line) for k, line in enumerate(known)))


def with_axes(found: Instances, types: Mapping[str, DefectType]) -> Instances:
    """Return instances of which those known by their masks have axes; what is a line has none.

    Where an ellipse is known it stays; else the mask has one of the same second moments, and
    ``at_rim`` is 1 where the mask touches the rim of the frame, else 0. `types` are the registered
    defect types; one that is not there is a line where it has one.
    """
    n = len(found)
    columns = {
        name: np.array(found.measurements.get(name, np.full(n, np.nan)), float) for name in ELLIPSE
    }
    lines = found.lines or (np.zeros((0, 2)),) * n
    filled = False
    for k, mask in enumerate(found.masks or ()):
        lacks_axes = np.isnan(columns["major_px"][k]) and mask.bitmap.any()
        if lacks_axes and not _is_line(str(found.defect_types[k]), lines[k], types):
            filled = True
            for part, value in zip(ELLIPSE, _ellipse(mask, found.image_shape), strict=True):
                columns[part][k] = value
    if not filled:
        return found
    return found.with_measurements(columns, {name: UNITS[name] for name in columns})


def _is_line(name: str, line: NDArray[np.float64], types: Mapping[str, DefectType]) -> bool:
    return types[name].shape == "line" if name in types else len(line) > 1


def measured(found: Instances, types: Mapping[str, DefectType]) -> tuple[Instances, int]:
    """Return instances with their sizes, and how many have none.

    Parameters
    ----------
    found
        Labels. Where an ellipse is known it stays; else the mask has one of the same second
        moments. A line has a length; one that is known by its mask alone as in
        :func:`with_courses`.
    types
        Registered defect types; one that is not registered is a line where it has one.

    Returns
    -------
    Instances
        With the measurements ``x``, ``y``, ``major_px``, ``minor_px``, ``angle_deg``,
        ``area_px`` (px²) and ``length_px``, NaN where there is none, ``at_rim`` as in
        :func:`with_axes`, and outlines of the masks of what is no line.
    int
        Those that are boxes only.
    """
    n = len(found)
    found = with_courses(found, types)
    columns = {
        name: np.array(found.measurements.get(name, np.full(n, np.nan)), float) for name in UNITS
    }
    lines = list(found.lines or (np.zeros((0, 2)),) * n)
    for k in range(n):
        is_line = _is_line(str(found.defect_types[k]), lines[k], types)
        mask = None if found.masks is None else found.masks[k]
        if is_line and len(lines[k]) > 1:
            columns["length_px"][k] = polyline_length(lines[k])
        elif not is_line and mask is not None and mask.area_px and np.isnan(columns["major_px"][k]):
            for part, value in zip(ELLIPSE, _ellipse(mask, found.image_shape), strict=True):
                columns[part][k] = value
            columns["area_px"][k] = mask.area_px
        if not is_line and not len(lines[k]) and mask is not None:
            lines[k] = mask_outline(mask)
    area = ellipse_area(columns["major_px"], columns["minor_px"])
    columns["area_px"] = np.where(np.isnan(columns["area_px"]), area, columns["area_px"])
    bare = int((np.isnan(columns["major_px"]) & np.isnan(columns["length_px"])).sum())
    kept = {name: values for name, values in columns.items() if not np.isnan(values).all()}
    return replace(
        found,
        lines=tuple(lines),
        measurements={**found.measurements, **kept},
        units={**found.units, **{name: UNITS[name] for name in kept}},
    ), bare


def _ellipse(mask: Mask, shape: tuple[int, int]) -> NDArray[np.float64]:
    x, y, *axes = ellipse_from_moments(mask.bitmap.astype(float))
    return np.array([x + mask.x, y + mask.y, *axes, touches_rim(mask, shape)])
