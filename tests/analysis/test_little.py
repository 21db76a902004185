"""Analyses of tables that hold little."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration, Tables
from defectscope.analysis.defect_classes import DefectClasses
from defectscope.analysis.diffusion import (
    Diffusion,
)
from defectscope.analysis.growth import Growth
from defectscope.analysis.hardening import (
    Hardening,
)
from defectscope.analysis.survival import Survival
from defectscope.analysis.swelling import Swelling
from defectscope.analysis.track_report import TrackReport
from defectscope.analysis.trajectories import Trajectories

ANALYSES = (
    Diffusion, Growth, DefectClasses, TrackReport, Trajectories, Survival, Hardening, Swelling,
)  # fmt: skip


@pytest.mark.parametrize("analysis", ANALYSES)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows.iloc[:0],
        lambda rows: rows[rows["frame"] == 0],
        lambda rows: rows[(rows["frame"] == 0) & (rows["particle"] == 0)],
        lambda rows: rows[rows["particle"] == 0],
        lambda rows: rows.assign(diameter_px=np.nan),
        lambda rows: rows.drop(columns=["diameter_px", "origin"]),
        lambda rows: rows.assign(frame=rows["frame"] * 1000),
        lambda rows: rows.sample(frac=1, random_state=0),
    ],
    ids=["nothing", "one-frame", "one-row", "one-particle", "nan", "bare", "gaps", "shuffled"],
)
def test_little_gives_little_and_no_error(analysis, spoil, drawn, wandering):
    rows = spoil(wandering(count=6, frames=25))
    frames = pd.DataFrame({"frame": sorted(set(rows["frame"])) or [0], "time_s": np.nan,
                           "dose_dpa": np.nan, "width_px": 500, "height_px": 500,
                           "status": "ok"})  # fmt: skip
    tables = Tables(frames, rows, None, rows, Calibration())
    for finding in analysis().analyse(tables):
        if finding.figure is not None:
            drawn(finding)
        assert all(np.isfinite(n.value) or np.isnan(n.value) for n in finding.numbers)
