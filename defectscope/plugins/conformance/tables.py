"""Tables that trackers and analyses are tried on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.calibration import Calibration
from defectscope.core.findings import Tables
from defectscope.core.frames import Frame
from defectscope.core.instances import Instances
from defectscope.core.tables import (
    DETECTION_COLUMNS,
    FRAME_COLUMNS,
    GEOMETRY_COLUMNS,
    detection_table,
    empty_table,
)
from defectscope.plugins.conformance.basics import SAMPLE_TYPES
from defectscope.plugins.conformance.samples import CALIBRATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["sample_detections", "sample_tables"]

# Where the particles are in the first frame; each drifts by (1, 0.5) px a frame.
STARTS_PX = np.array([[20.0, 20.0], [60.0, 22.0], [100.0, 60.0], [30.0, 90.0]])
DRIFT_PX = np.array([1.0, 0.5])
SHAPE = (128, 160)
FRAMES = 6
FIRST_INDEX = 461
UNITS = {
    "x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg",
    "area_px": "px2", "length_px": "px", "curvature_per_px": "1/px",
}  # fmt: skip


def sample_detections(frames: int = FRAMES) -> pd.DataFrame:
    """Return a detection table: particles that drift, one of which blinks and one ends."""
    return _detections_and_particles(frames)[0]


def _detections_and_particles(frames: int) -> tuple[pd.DataFrame, list[int]]:
    parts, particles = [], []
    for step in range(frames):
        seen = [k for k in range(4) if not (k == 1 and step == 2) and not (k == 3 and step > 2)]
        centres = STARTS_PX[seen] + DRIFT_PX * step
        radius = 5.0 + 0.2 * np.array(seen, float)
        found = Instances(
            SHAPE,
            np.concatenate([centres - radius[:, None], centres + radius[:, None]], axis=1),
            np.full(len(seen), 0.8, np.float32),
            np.array(["dislocation-loop"] * len(seen)),
            measurements=_measured(centres, radius),
            units=UNITS,
        )
        pixels = np.eye(*SHAPE, dtype=np.uint8)
        frame = Frame(pixels, FIRST_INDEX + step, CALIBRATION, f"f{step}")
        parts.append(detection_table(frame, found, SAMPLE_TYPES))
        particles.extend(seen)
    return pd.concat(parts, ignore_index=True), particles


def _measured(centres: NDArray[np.float64], radius: NDArray[np.float64]) -> dict[str, Any]:
    # The columns of lines are there and null, as where line and ellipse types are mixed.
    null = np.full(len(radius), np.nan)
    return {
        "x": centres[:, 0], "y": centres[:, 1], "major_px": 2 * radius, "minor_px": 1.8 * radius,
        "angle_deg": np.zeros(len(radius)), "area_px": np.pi * 0.9 * radius**2,
        "length_px": null, "curvature_per_px": null,
    }  # fmt: skip


def sample_tables(
    *, frames: bool = True, rows: bool = True, measured: bool = True, tracked: bool = True
) -> Tables:
    """Return the tables of a small run.

    Parameters
    ----------
    frames
        Whether there are any.
    rows
        Whether anything was found in them.
    measured
        Whether a post-processor ran and the scale is known.
    tracked
        Whether a tracker ran.
    """
    detections, particles = _detections_and_particles(FRAMES)
    known = CALIBRATION if measured else Calibration()
    if not measured:
        detections = detections[list(DETECTION_COLUMNS)].assign(time_s=np.nan, dose_dpa=np.nan)
    tracks = detections.assign(particle=particles) if tracked else None
    if not (rows and frames):
        detections = detections.iloc[:0]
        tracks = None if tracks is None else tracks.iloc[:0]
    frame_table = _frame_table(detections, known).iloc[: FRAMES if frames else 0]
    return Tables(frame_table, detections, empty_table(GEOMETRY_COLUMNS), tracks, known)


def _frame_table(detections: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    index = range(FIRST_INDEX, FIRST_INDEX + FRAMES)
    columns: dict[str, Any] = {
        "frame": index,
        "source": [f"f{k}" for k in index],
        "time_s": [calibration.time_s(k) for k in index],
        "dose_dpa": [calibration.dose_dpa(k) for k in index],
        "width_px": SHAPE[1],
        "height_px": SHAPE[0],
        "count": [int((detections["frame"] == k).sum()) for k in index],
        "status": "ok",
    }
    return pd.DataFrame(columns).astype(dict(FRAME_COLUMNS))
