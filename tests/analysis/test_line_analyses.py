"""Distances in pile-ups, velocities and curvatures of lines whose courses are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration, Runtime, Tables
from defectscope.analysis.line_motion import LineMotion
from defectscope.analysis.line_spacing import LineSpacing
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.plugins.testing import AnalysisConformance

TYPES = Runtime(defect_types={known.name: known for known in SHIPPED})
NM = Calibration(pixel_size_nm=0.5, frame_interval_s=2.0)
Y = np.linspace(0.0, 100.0, 41)


class TestLineSpacing(AnalysisConformance):
    component = LineSpacing


class TestLineMotion(AnalysisConformance):
    component = LineMotion


def tables(frames, calibration=NM, defect_type="dislocation", tracked=True):
    """Return tables of {frame: [(k, 2) line of particle 0, of particle 1, ...]}."""
    found, vertices = [], []
    for frame, lines in frames.items():
        for k, line in enumerate(lines):
            found.append((frame, k, defect_type, k))
            vertices += [(frame, k, n, x, y) for n, (x, y) in enumerate(line)]
    detections = pd.DataFrame(found, columns=["frame", "detection", "defect_type", "particle"])
    geometry = pd.DataFrame(vertices, columns=["frame", "detection", "vertex", "x", "y"])
    times = [calibration.time_s(frame) for frame in frames]
    index = pd.DataFrame({"frame": list(frames), "time_s": times, "dose_dpa": np.nan})
    tracks = detections if tracked else None
    return Tables(index, detections.drop(columns="particle"), geometry, tracks, calibration)


def upright(x, bend=0.0):
    return np.stack([x + bend * np.sin(np.pi * Y / 100), Y], axis=1)


def test_neighbours_come_closer_as_they_were_drawn():
    given = tables({f: [upright(100 + k * (20.0 - 2 * f)) for k in (2, 0, 1)] for f in range(4)})
    (finding,) = LineSpacing(runtime=TYPES).analyse(given)
    table = finding.table.set_index("frame")
    assert table["lines"].tolist() == [3] * 4
    assert table["pileup"].tolist() == [0] * 4
    np.testing.assert_allclose(table["mean_distance_px"], [20, 18, 16, 14], atol=1e-6)
    np.testing.assert_allclose(table["mean_distance_nm"], [10, 9, 8, 7], atol=1e-6)
    np.testing.assert_allclose(table["standard_error_px"], 0, atol=1e-6)


def test_lines_that_turn_or_lie_far_apart_are_no_pileup():
    across = np.stack([100 + Y, np.full_like(Y, 50.0)], axis=1)
    assert LineSpacing(runtime=TYPES).analyse(tables({0: [upright(100), across]})) == []
    assert LineSpacing(runtime=TYPES).analyse(tables({0: [upright(0), upright(300)]})) == []


@pytest.mark.parametrize("turned", [False, True])
def test_velocity_is_that_along_the_normal_whichever_way_vertices_run(turned):
    frames = {f: [upright(50 + 3.0 * f)[:: -1 if turned and f % 2 else 1]] for f in (0, 1, 4)}
    (finding,) = LineMotion(runtime=TYPES).analyse(tables(frames))
    speed = finding.table["velocity_px_per_frame"].to_numpy()
    assert np.isnan(speed[0])
    np.testing.assert_allclose(np.abs(speed[1:]), 3.0, atol=1e-6)
    assert speed[1] * speed[2] > 0
    nm = finding.table["velocity_nm_per_s"].to_numpy()[1:]
    np.testing.assert_allclose(nm, speed[1:] * 0.5 / 2)


def test_curvature_is_that_of_a_circle():
    angle = np.linspace(0, np.pi / 2, 200)
    arc = np.stack([200 * np.cos(angle), 200 * np.sin(angle)], axis=1)
    (finding,) = LineMotion(runtime=TYPES).analyse(tables({0: [arc], 1: [arc]}))
    np.testing.assert_allclose(finding.table["curvature_per_px"], 1 / 200, rtol=0.05)
    np.testing.assert_allclose(finding.table["curvature_per_nm"], 1 / 100, rtol=0.05)


@pytest.mark.parametrize("analysis", [LineSpacing, LineMotion])
def test_outlines_and_nothing_give_nothing(analysis):
    loops = tables({f: [upright(0), upright(20)] for f in (0, 1)}, defect_type="dislocation-loop")
    assert analysis(runtime=TYPES).analyse(loops) == []
    assert analysis(runtime=TYPES).analyse(tables({0: []})) == []


def test_unknown_scale_leaves_px():
    frames = {f: [upright(0), upright(20)] for f in (0, 1)}
    given = tables(frames, Calibration())
    (spacing,) = LineSpacing(runtime=TYPES).analyse(given)
    assert spacing.table["mean_distance_nm"].isna().all()
    (motion,) = LineMotion(runtime=TYPES).analyse(given)
    assert motion.table["velocity_nm_per_s"].isna().all()


def test_without_tracks_pileups_are_numbered_by_their_lines():
    here = [upright(x) for x in (0, 20, 400, 420, 440)]
    (finding,) = LineSpacing(runtime=TYPES).analyse(tables({0: here, 1: here}, tracked=False))
    assert finding.table.groupby("pileup")["lines"].first().tolist() == [3, 2]
    assert LineMotion(runtime=TYPES).analyse(tables({0: here, 1: here}, tracked=False)) == []
