"""Errors of counts and sizes against truth (P2, Figs. 4 and 5; P3, Tables 2 and 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.matching import match_instances
from defectscope.core.tables import diameters

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.instances import Instances

__all__ = ["count_error", "counted", "longer_sides", "size_errors", "statistics_by_type"]

Pairs = Sequence[tuple["Instances", "Instances"]]


def _relative(value: float, truth: float) -> float | None:
    return value / truth - 1 if truth else None


def count_error(pairs: Pairs, iou: float) -> dict[str, Any]:
    """Return numbers of instances and the relative error of each frame's number.

    The number in a given field of view is the density up to a factor, so that this is the
    relative error of the density as well. Predictions that fit ignored truth do not count.

    Parameters
    ----------
    pairs
        (predicted, true) of each frame.
    iou
        Overlap that fitting needs.
    """
    predicted = np.array([len(counted(p, t, iou)) for p, t in pairs])
    true = np.array([int((~t.ignore).sum()) for _, t in pairs])
    errors = [abs(p / t - 1) for p, t in zip(predicted, true, strict=True) if t]
    return {
        "predicted_count": int(predicted.sum()),
        "true_count": int(true.sum()),
        "count_error": _relative(float(predicted.sum()), float(true.sum())),
        "mean_absolute_count_error_per_frame": float(np.mean(errors)) if errors else None,
        "largest_absolute_count_error_per_frame": float(np.max(errors)) if errors else None,
    }


def statistics_by_type(
    pairs: Pairs,
    iou: float,
    types: Mapping[str, DefectType],
    area_px: float | None = None,
) -> dict[str, dict[str, float | None]]:
    """Return number, mean diameter and area fraction of each type, found and true (P3, Table 3).

    Unlike :func:`size_errors` it compares populations: all that was found with all that is there,
    matched or not, as a material's statistics are. Predictions that fit ignored truth do not count.

    Parameters
    ----------
    pairs
        (predicted, true) of each frame.
    iou
        Overlap that fitting needs.
    types
        Defect types, for what "diameter" means.
    area_px
        Area that was looked at, px², of all frames together; all of it where that is None.

    Returns
    -------
    dict
        For each type and for both sides (``predicted_``, ``true_``): ``count``,
        ``mean_diameter_px`` with ``diameter_error_px``, the standard error of the mean, and
        ``area_fraction``, the mean π·a·b of those whose axes are known times the number of all,
        over the area of the frames that was looked at; and ``density_error`` and
        ``mean_diameter_error``, relative to the truth.
    """
    if area_px is None:
        area_px = float(sum(t.image_shape[0] * t.image_shape[1] for _, t in pairs))
    sides = {
        "predicted": [counted(p, t, iou) for p, t in pairs],
        "true": [t[~t.ignore] for _, t in pairs],
    }
    names = {str(n) for frames in sides.values() for f in frames for n in f.defect_types}
    table: dict[str, dict[str, float | None]] = {}
    for name in sorted(names):
        row: dict[str, float | None] = {}
        for side, frames in sides.items():
            row |= {f"{side}_{key}": value for key, value in _of_type(frames, name, types,
                                                                     area_px).items()}  # fmt: skip
        for error, key in (("density_error", "count"), ("mean_diameter_error", "mean_diameter_px")):
            found, true = row[f"predicted_{key}"], row[f"true_{key}"]
            row[error] = None if found is None or true is None else _relative(found, true)
        table[name] = row
    return table


def _of_type(
    frames: Sequence[Instances], name: str, types: Mapping[str, DefectType], area_px: float
) -> dict[str, float | None]:
    own = [f[f.defect_types == name] for f in frames]
    sizes = np.concatenate([_diameters(f, types) for f in own])
    sizes = sizes[np.isfinite(sizes)]
    areas = [np.pi / 4 * f.measurements["major_px"] * f.measurements["minor_px"]
             for f in own if {"major_px", "minor_px"} <= set(f.measurements)]  # fmt: skip
    known = np.concatenate(areas or [np.zeros(0)])
    known = known[np.isfinite(known)]
    count, number = len(sizes), sum(map(len, own))
    # Those of unknown size are as large as the others, in the mean.
    area = float(known.mean()) * number if len(known) else None
    return {
        "count": float(number),
        "mean_diameter_px": float(sizes.mean()) if count else None,
        "diameter_error_px": float(sizes.std(ddof=1) / np.sqrt(count)) if count > 1 else None,
        "area_fraction": area / area_px if area and area_px else None,
    }


def counted(predicted: Instances, true: Instances, iou: float) -> Instances:
    """Return the predictions of a frame that are hits or false alarms.

    Left out are those that fit ignored truth, and those flagged ``ignore`` that fit none.

    Parameters
    ----------
    predicted, true
        Of one frame.
    iou
        Overlap that fitting needs.
    """
    match = match_instances(predicted, true, iou)
    return predicted[np.union1d(match.predicted, match.spurious)]


def seen_in_part(at_rim: ArrayLike, fit: ArrayLike) -> NDArray[np.bool_]:
    """Return of which defects the visible part alone was measured, by these columns; NaN: unknown.

    An ellipse through the edge that is seen goes on beyond the rim. The others have their centre
    out there; to keep those with their centre inside, and no more, favours no size.
    """
    at, fitted = np.asarray(at_rim, float), np.asarray(fit, float)
    return np.asarray((at == 1) & (fitted != 1), bool)


def longer_sides(instances: Instances) -> NDArray[np.float64]:
    """Return the (n,) longer sides of boxes, px."""
    boxes = instances.boxes.astype(float)
    return np.asarray(np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]))


def _diameters(instances: Instances, types: Mapping[str, DefectType]) -> NDArray[np.float64]:
    """Return the (n,) diameters, px; NaN where the axes are not known, or not those of the whole.

    That is where the rim cuts a defect and its ellipse is none through the edge that is seen.
    """
    measured, unknown = instances.measurements, np.full(len(instances), np.nan)
    if not {"major_px", "minor_px"} <= set(measured):
        return unknown
    sizes = diameters(measured["major_px"], measured["minor_px"], instances.defect_types, types)
    cut = seen_in_part(measured.get("at_rim", unknown), measured.get("fit", unknown))
    return np.where(cut, np.nan, np.asarray(sizes, float))


def size_errors(pairs: Pairs, iou: float, types: Mapping[str, DefectType]) -> dict[str, Any]:
    """Return errors of the longer box side, and of the diameter of matched instances.

    Parameters
    ----------
    pairs
        (predicted, true) of each frame.
    iou
        Overlap that a match needs.
    types
        Defect types, for what "diameter" means.

    Returns
    -------
    dict
        ``median_side_error_per_frame`` is the mean over frames of the absolute relative error of
        the median longer box side; ``smallest_found_side_px`` is the least longer side of a
        prediction that matches, ``smallest_true_side_px`` that of the truth (P2: the smallest
        size found, and by labellers); ``diameter_by_type`` holds, for matched instances whose axes
        are known on both sides (not where a mask that the rim cuts is all that is known), their
        number, mean diameters, by the definition of the true type, and the relative error (P3).
    """
    side_errors, found_sides, true_sides = [], [], []
    matched: dict[str, list[tuple[float, float]]] = {}
    for predicted, true in pairs:
        known, found = true[~true.ignore], counted(predicted, true, iou)
        if len(known) and len(found):
            p, t = np.median(longer_sides(found)), np.median(longer_sides(known))
            side_errors.append(abs(p / t - 1))
        match = match_instances(predicted, true, iou)
        found_sides.append(longer_sides(predicted)[match.predicted])
        true_sides.append(longer_sides(known))
        truth = true[match.true]
        # One definition for both: a wrong type is no wrong size.
        typed = replace(predicted[match.predicted], defect_types=truth.defect_types)
        mine, theirs = _diameters(typed, types), _diameters(truth, types)
        for k in np.flatnonzero(np.isfinite(mine) & np.isfinite(theirs)):
            name = str(truth.defect_types[k])
            matched.setdefault(name, []).append((float(mine[k]), float(theirs[k])))
    by_type = {}
    for name, values in matched.items():
        mean_found, mean_true = (float(np.mean([v[k] for v in values])) for k in (0, 1))
        by_type[name] = {
            "matched": len(values),
            "predicted_mean_diameter_px": mean_found,
            "true_mean_diameter_px": mean_true,
            "relative_error": mean_found / mean_true - 1,
        }
    return {
        "median_side_error_per_frame": float(np.mean(side_errors)) if side_errors else None,
        "largest_median_side_error": float(np.max(side_errors)) if side_errors else None,
        "smallest_found_side_px": _least(found_sides),
        "smallest_true_side_px": _least(true_sides),
        "diameter_by_type": by_type,
    }


def _least(values: Sequence[NDArray[np.float64]]) -> float | None:
    return min((float(v.min()) for v in values if len(v)), default=None)
