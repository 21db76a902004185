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
