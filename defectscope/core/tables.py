"""The columns of a run's tables, and the calibrated twins of columns in px."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.geometry.boxes import box_centres

# pandas takes half a second to import, which processes that draw images can do without.
if TYPE_CHECKING:
    import pandas as pd

    from defectscope.core.defect_types import DefectType
    from defectscope.core.frames import Frame
    from defectscope.core.instances import Instances

__all__ = [
    "DETECTION_COLUMNS",
    "FRAME_COLUMNS",
    "GEOMETRY_COLUMNS",
    "ORIGINS",
    "RESERVED_COLUMNS",
    "SHIFT_COLUMNS",
    "calibrated",
    "detection_columns",
    "detection_table",
    "diameters",
    "empty_table",
    "geometry_columns",
    "taken_names",
    "typed",
    "unit_twin",
]

# What every table has whatever plugins ran; their own columns follow.
FRAME_COLUMNS: Mapping[str, str] = {
    "frame": "int64",
    "source": "str",
    "time_s": "float64",
    "dose_dpa": "float64",
    "width_px": "Int64",
    "height_px": "Int64",
    "count": "Int64",
    "status": "str",
}
# Where a row comes from; of instances, the measurement ``origin`` is the position in this list.
ORIGINS = ("detector", "interpolated", "human")
# What registration adds to the table of frames.
SHIFT_COLUMNS: Mapping[str, str] = {
    "drift_x_px": "float64",
    "drift_y_px": "float64",
    "jump": "int64",
    "correlation": "float64",
}
DETECTION_COLUMNS: Mapping[str, str] = {
    "frame": "int64",
    "time_s": "float64",
    "dose_dpa": "float64",
    "detection": "int64",
    "defect_type": "str",
    "score": "float64",
    "origin": "str",
    "x": "float64",
    "y": "float64",
    "x_min": "float64",
    "y_min": "float64",
    "x_max": "float64",
    "y_max": "float64",
}
# What no component may call a measurement: the own columns of tables and tracks, but for the
# measured centroid.
RESERVED_COLUMNS = (frozenset(DETECTION_COLUMNS) - {"x", "y"}) | {
    "particle",
    "x_corrected",
    "y_corrected",
}
GEOMETRY_COLUMNS: Mapping[str, str] = {
    "frame": "int64",
    "detection": "int64",
    "vertex": "int64",
    "x": "float64",
    "y": "float64",
}


def empty_table(columns: Mapping[str, str]) -> pd.DataFrame:
    """Return a table without rows, whose columns have their types all the same."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})


def typed(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return a table that was read from CSV, with `columns` of the types they have.

    CSV does not tell a score of 1.0 from the number 1, and of a table without rows no type at all.
    """
    return table.astype({name: columns[name] for name in table.columns if name in columns})


def unit_twin(name: str, unit: str) -> tuple[str, int] | None:
    """Return the calibrated name of a column, and the power of the pixel size it scales with.

    ``major_px`` (px) gives ``("major_nm", 1)``, ``area_px`` (px2) ``("area_nm2", 2)``,
    ``curvature_per_px`` (1/px) ``("curvature_per_nm", -1)``; anything else None.
    """
    if unit == "px" and name.endswith("_px"):
        return f"{name[:-3]}_nm", 1
    if unit == "px2" and name.endswith("_px"):
        return f"{name[:-3]}_nm2", 2
    if unit == "1/px" and name.endswith("_per_px"):
        return f"{name[:-7]}_per_nm", -1
    return None


def taken_names(units: Mapping[str, str]) -> list[str]:
    """Return which measurements would replace a column that a table has, or works out itself.

    Parameters
    ----------
    units
        Units of all measurements by name.

    Returns
    -------
    list of str
        Those that are called like a column of every table, like the calibrated twin of another
        one, or like the diameter that is worked out from ``major_px`` and ``minor_px``.
    """
    derived = {"diameter_px": "px"} if {"major_px", "minor_px"} <= units.keys() else {}
    twins = (unit_twin(name, unit) for name, unit in {**units, **derived}.items())
    taken = RESERVED_COLUMNS.union(derived, (twin[0] for twin in twins if twin is not None))
    return sorted(taken & units.keys())


def diameters(
    major: np.ndarray, minor: np.ndarray, names: np.ndarray, types: Mapping[str, DefectType]
) -> np.ndarray:
    """Return the diameter by each type's own definition, in the unit of the axes.

    The major axis for loops, 2·sqrt(a·b) = sqrt(major·minor) for dots (P3).
    """
    by_area = [
        name in types and types[name].size_definition == "equivalent-diameter" for name in names
    ]
    return np.where(np.asarray(by_area, bool), np.sqrt(major * minor), major)


def calibrated(
    columns: Mapping[str, Any], units: Mapping[str, str], pixel_size_nm: float | None
) -> dict[str, Any]:
    """Return `columns`, each followed by its calibrated twin where the pixel size is known."""
    result: dict[str, Any] = {}
    for name, values in columns.items():
        result[name] = values
        twin = unit_twin(name, units.get(name, ""))
        if twin is not None and pixel_size_nm is not None:
            result[twin[0]] = np.asarray(values, float) * pixel_size_nm ** twin[1]
    return result


def detection_columns(
    frame: Frame, found: Instances, types: Mapping[str, DefectType]
) -> dict[str, np.ndarray]:
    """Return the columns of :func:`detection_table` as arrays; text as objects."""
    n, calibration = len(found), frame.calibration
    centres = box_centres(found.boxes)
    columns: dict[str, Any] = {
        "frame": np.full(n, frame.index, np.int64),
        "time_s": np.full(n, _or_nan(calibration.time_s(frame.index))),
        "dose_dpa": np.full(n, _or_nan(calibration.dose_dpa(frame.index))),
        "detection": np.arange(n, dtype=np.int64),
        "defect_type": found.defect_types.astype(object),
        # Through text, so that a float32 score of 0.7 reads 0.7 and not 0.699999988.
        "score": np.array([float(str(s)) for s in found.scores], float),
        "origin": np.full(n, "detector", object),
        "x": centres[:, 0],
        "y": centres[:, 1],
        **{
            name: found.boxes[:, k].astype(float)
            for k, name in enumerate(("x_min", "y_min", "x_max", "y_max"))
        },
    }
    measured = dict(found.measurements)
    for name in ("x", "y"):
        if name in measured:
            values = np.asarray(measured.pop(name), float)
            columns[name] = np.where(np.isfinite(values), values, columns[name])
    units = dict(found.units)
    if "major_px" in measured and "minor_px" in measured:
        measured["diameter_px"] = diameters(
            measured["major_px"], measured["minor_px"], found.defect_types, types
        )
        units["diameter_px"] = "px"
    return columns | calibrated(measured, units, calibration.pixel_size_nm)


def detection_table(
    frame: Frame, found: Instances, types: Mapping[str, DefectType]
) -> pd.DataFrame:
    """Return one row for each instance of a frame (DESIGN: ``detections.parquet``).

    The position is the measured centroid where there is one, else the centre of the box.
    """
    columns = detection_columns(frame, found, types)
    import pandas as pd

    return pd.DataFrame(columns).astype(
        {name: dtype for name, dtype in DETECTION_COLUMNS.items() if name in columns}
    )


def geometry_columns(frame: Frame, found: Instances) -> dict[str, np.ndarray] | None:
    """Return one row for each vertex of the lines (or outlines) of a frame, as arrays by column.

    None where there are no lines.
    """
    lines = [line for line in found.lines or () if len(line)]
    if found.lines is None or not lines:
        return None
    lengths = [len(line) for line in found.lines]
    points = np.concatenate(lines)
    return {
        "frame": np.full(sum(lengths), frame.index, np.int64),
        "detection": np.repeat(np.arange(len(lengths)), lengths),
        "vertex": np.concatenate([np.arange(k) for k in lengths]),
        "x": points[:, 0],
        "y": points[:, 1],
    }


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
