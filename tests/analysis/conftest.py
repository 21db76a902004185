"""Tables of a run, made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration, Tables
from defectscope.core.tables import DETECTION_COLUMNS, FRAME_COLUMNS, empty_table

SHAPE = (710, 1120)
# P2: Fe-18Cr-3Al under Kr; 2.6884 px/nm, 75 nm foil, 4 of 7 loops visible.
P2 = Calibration(
    pixel_size_nm=0.37197, frame_interval_s=1.75, dose_start_dpa=0.8534,
    dose_per_frame_dpa=1.6466 / 1175, thickness_nm=75, visible_fraction={"*": 4 / 7},
)  # fmt: skip
HALF_NM = Calibration(pixel_size_nm=0.5, frame_interval_s=2.0)
Y = np.linspace(0.0, 100.0, 41)


def frame_table(indices, damaged=(), calibration=P2, shape=SHAPE) -> pd.DataFrame:
    rows = []
    for index in indices:
        good = index not in damaged
        rows.append({
            "frame": index, "source": f"Frame{index}.jpg", "time_s": calibration.time_s(index),
            "dose_dpa": calibration.dose_dpa(index), "width_px": shape[1] if good else None,
            "height_px": shape[0] if good else None, "count": 0 if good else None,
            "status": "ok" if good else "damaged",
        })  # fmt: skip
    table = pd.DataFrame(rows, columns=list(FRAME_COLUMNS))
    return table.astype(dict(FRAME_COLUMNS))


def detection_rows(found: dict[int, list[tuple[str, float]]], unit="nm") -> pd.DataFrame:
    """Return detections with diameters: {frame: [(defect type, diameter), ...]}."""
    rows = [
        {"frame": frame, "detection": k, "defect_type": name, f"diameter_{unit}": size, "x": 5.0,
         "y": 5.0, "score": 1.0, "origin": "detector"}
        for frame, entries in found.items()
        for k, (name, size) in enumerate(entries)
    ]  # fmt: skip
    if not rows:
        return empty_table({**DETECTION_COLUMNS, f"diameter_{unit}": "float64"})
    return pd.DataFrame(rows)


@pytest.fixture
def make_tables():
    """Make tables from {frame: [(defect type, diameter), ...]}."""

    def make(
        found: dict[int, list[tuple[str, float]]],
        *,
        indices=None,
        damaged=(),
        calibration: Calibration = P2,
        roi=None,
        unit="nm",
        tracks: pd.DataFrame | None = None,
        shape=SHAPE,
        masked=None,
    ) -> Tables:
        chosen = list(found) if indices is None else list(indices)
        frames = frame_table(chosen, damaged, calibration, shape)
        return Tables(
            frames, detection_rows(found, unit), None, tracks, calibration, roi, masked=masked
        )

    return make


@pytest.fixture
def drawn(tmp_path):
    """Save a finding's figure, so that what matplotlib finds wrong shows; return its panels."""

    def draw(finding) -> list[Any]:
        for suffix in ("png", "svg"):
            finding.figure.savefig(tmp_path / f"{finding.name}.{suffix}", dpi=40)
        assert np.prod(finding.figure.get_size_inches()) > 0
        return finding.figure.axes

    return draw


@pytest.fixture
def wandering():
    """Make tracks whose truth is known."""

    def wander(seed=0, count=80, frames=60, d=0.2, sigma=0.5, rate=0.05):
        """Particles that walk at random and grow in a straight line, seen with errors."""
        rng = np.random.default_rng(seed)
        walk = np.cumsum(rng.normal(0, np.sqrt(2 * d), (frames, count, 2)), axis=0)
        at = rng.uniform(0, 500, (count, 2)) + walk + rng.normal(0, sigma, walk.shape)
        frame, particle = (part.ravel() for part in np.indices((frames, count)))
        size = rng.uniform(10, 20, count) + rate * np.arange(frames)[:, None]
        size = size + rng.normal(0, 0.3, size.shape)
        table = pd.DataFrame({"frame": frame, "particle": particle, "x": at[..., 0].ravel(),
                              "y": at[..., 1].ravel(), "diameter_px": size.ravel(),
                              "defect_type": "dislocation-loop", "origin": "detector"})  # fmt: skip
        return table[rng.random(len(table)) > 0.1].reset_index(drop=True)

    return wander


@pytest.fixture
def line_tables():
    """Make tables from {frame: [(k, 2) line of particle 0, of particle 1, ...]}."""

    def make(frames, calibration=HALF_NM, defect_type="dislocation", tracked=True):
        found, vertices = [], []
        for frame, lines in frames.items():
            for k, line in enumerate(lines):
                found.append((frame, k, defect_type, k))
                vertices += [(frame, k, n, x, y) for n, (x, y) in enumerate(line)]
        detections = pd.DataFrame(found, columns=["frame", "detection", "defect_type", "particle"])
        geometry = pd.DataFrame(vertices, columns=["frame", "detection", "vertex", "x", "y"])
        times = [calibration.time_s(frame) for frame in frames]
        index = pd.DataFrame({"frame": list(frames), "time_s": times, "dose_dpa": np.nan,
                              "status": "ok", "width_px": 400, "height_px": 200})  # fmt: skip
        tracks = detections if tracked else None
        return Tables(index, detections.drop(columns="particle"), geometry, tracks, calibration)

    return make


@pytest.fixture
def upright():
    """Make the course of a line of 100 px that runs down, and bends."""

    def make(x, bend=0.0):
        return np.stack([x + bend * np.sin(np.pi * Y / 100), Y], axis=1)

    return make
