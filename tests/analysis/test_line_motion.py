"""Velocities and curvatures of lines whose courses are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from defectscope import Runtime
from defectscope.analysis.line_density import LineDensity
from defectscope.analysis.line_motion import LineMotion
from defectscope.core.geometry.smoothing import smoothed_curve
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.plugins.testing import AnalysisConformance

TYPES = Runtime(defect_types={known.name: known for known in SHIPPED})
Y = np.linspace(0.0, 100.0, 41)


class TestLineMotion(AnalysisConformance):
    component = LineMotion


@pytest.mark.parametrize("turned", [False, True])
def test_velocity_is_that_along_the_normal_whichever_way_vertices_run(turned, line_tables, upright):
    frames = {f: [upright(50 + 3.0 * f)[:: -1 if turned and f % 2 else 1]] for f in (0, 1, 4)}
    (finding,) = LineMotion(runtime=TYPES).analyse(line_tables(frames))
    speed = finding.table["velocity_px_per_frame"].to_numpy()
    assert np.isnan(speed[0])
    np.testing.assert_allclose(np.abs(speed[1:]), 3.0, atol=1e-6)
    assert speed[1] * speed[2] > 0
    nm = finding.table["velocity_nm_per_s"].to_numpy()[1:]
    np.testing.assert_allclose(nm, speed[1:] * 0.5 / 2)


def test_lines_that_were_filled_in_were_not_seen_to_move(line_tables, upright):
    given = line_tables({f: [upright(50 + 3.0 * f)] for f in range(4)})
    origin = np.where(given.detections["frame"] == 2, "interpolated", "detector")
    given = replace(given, detections=given.detections.assign(origin=origin))
    (finding,) = LineMotion(runtime=TYPES).analyse(given)
    assert finding.table["frame"].tolist() == [0, 1, 3]
    np.testing.assert_allclose(finding.table["displacement_px"].abs()[1:], [3, 6], atol=1e-6)
    (density,) = LineDensity(runtime=TYPES).analyse(given)
    assert density.table["lines"].tolist() == [1] * 4


def test_all_lines_of_a_frame_have_one_sense_of_velocity(line_tables, upright):
    # All glide to the right; their vertices run up or down, and they lean to either side.
    lean = np.array([0.3, 0.0]) * Y[:, None]
    turned = {0: 1, 1: -1, 2: 1, 3: -1}
    frames = {
        f: [(upright(50.0 + 60 * k + 3 * f) + (k - 1.5) * lean)[::way] for k, way in turned.items()]
        for f in range(3)
    }
    (finding,) = LineMotion(runtime=TYPES).analyse(line_tables(frames))
    speed = finding.table["velocity_px_per_frame"].dropna()
    assert len(speed) == 8
    assert (speed > 2).all()
    assert "point 0° from the x axis" in finding.note.replace("-0°", "0°")
    back = {f: frames[2 - f] for f in frames}
    (finding,) = LineMotion(runtime=TYPES).analyse(line_tables(back))
    assert (finding.table["velocity_px_per_frame"].dropna() < -2).all()


@pytest.mark.parametrize(("waves", "signed"), [(1, -1), (2, 0)], ids=["bow", "s"])
def test_curvature_with_sign_is_that_of_the_whole_line(waves, signed, line_tables):
    line = np.stack([50 + 3 * np.sin(waves * np.pi * Y / 100), Y], axis=1)
    (finding,) = LineMotion(runtime=TYPES).analyse(line_tables({0: [line], 1: [line[::-1] + 1.0]}))
    amount, found = (finding.table[f"{n}curvature_per_px"].to_numpy() for n in ("", "signed_"))
    assert (amount > 1e-3).all()
    # A bow to the right, where positive velocities point, has its ends on the left.
    np.testing.assert_allclose(found, signed * amount, atol=1e-4)
    nm = finding.table["signed_curvature_per_nm"]
    np.testing.assert_allclose(nm, found / 0.5)


def test_curvature_is_that_of_a_circle(line_tables):
    angle = np.linspace(0, np.pi / 2, 200)
    arc = np.stack([200 * np.cos(angle), 200 * np.sin(angle)], axis=1)
    (finding,) = LineMotion(runtime=TYPES).analyse(line_tables({0: [arc], 1: [arc]}))
    np.testing.assert_allclose(finding.table["curvature_per_px"], 1 / 200, rtol=0.05)
    np.testing.assert_allclose(finding.table["curvature_per_nm"], 1 / 100, rtol=0.05)


@pytest.mark.parametrize("length", [20, 30, 60])
def test_curvature_is_that_of_an_arc_also_where_it_was_smoothed(length, line_tables):
    angle = np.linspace(0, length / 60, 2 * length + 1)
    arc = np.stack([60 * np.cos(angle), 60 * np.sin(angle)], axis=1)
    smoothed = smoothed_curve(arc, 14.0, count=50)
    (finding,) = LineMotion(runtime=TYPES).analyse(line_tables({0: [smoothed], 1: [smoothed]}))
    for name in ("curvature_per_px", "signed_curvature_per_px"):
        np.testing.assert_allclose(finding.table[name].abs(), 1 / 60, rtol=0.08)
    whole = LineMotion(LineMotion.Options(end_px=0), TYPES)
    (finding,) = whole.analyse(line_tables({0: [smoothed], 1: [smoothed]}))
    assert (finding.table["curvature_per_px"] < 0.92 / 60).all()


def ring(radius, start=0.0, way=1, x=100.0):
    """Return a closed circle that begins anywhere and runs either way."""
    angle = start + way * np.linspace(0, 2 * np.pi, 121)
    points = np.stack([x + radius * np.cos(angle), 60 + radius * np.sin(angle)], axis=1)
    points[-1] = points[0]
    return points


@pytest.mark.parametrize("grows", [1, -1])
def test_a_closed_line_that_grows_has_a_positive_velocity(grows, line_tables):
    rng = np.random.default_rng(3)
    radii = 30.0 + 2 * grows * np.arange(8)
    ways, starts = rng.choice([-1, 1], 8), rng.uniform(0, 6, 8)
    assert len(set(ways[1:])) == 2
    frames = {
        f: [ring(r, start, way)]
        for f, (r, start, way) in enumerate(zip(radii, starts, ways, strict=True))
    }
    (finding,) = LineMotion(runtime=TYPES).analyse(line_tables(frames))
    speed = finding.table["velocity_px_per_frame"].to_numpy()[1:]
    np.testing.assert_allclose(speed, 2.0 * grows, atol=0.05)
    np.testing.assert_allclose(finding.table["signed_curvature_per_px"], -1 / radii, rtol=0.02)
    assert finding.note == "Positive velocities point outwards: all lines are closed."


def test_open_and_closed_lines_have_their_own_senses(line_tables, upright):
    frames = {f: [upright(20 + 3.0 * f), ring(30 + 2 * f, f, (-1) ** f, x=200)] for f in range(4)}
    (finding,) = LineMotion(runtime=TYPES).analyse(line_tables(frames))
    speed = finding.table.groupby("particle")["velocity_px_per_frame"].apply(list)
    np.testing.assert_allclose(speed[0][1:], 3.0, atol=1e-6)
    np.testing.assert_allclose(speed[1][1:], 2.0, atol=0.05)
    assert "0° from the x axis" in finding.note
    assert finding.note.endswith("in the image, and those of closed lines outwards.")


@pytest.mark.parametrize("way", [1, -1])
def test_a_closed_line_that_opens_goes_round_as_before(way, line_tables):
    opened = [ring(32, 1.0, way)[:-3], ring(34, 1.0, -way)[3:]]
    (finding,) = LineMotion(runtime=TYPES).analyse(
        line_tables({0: [ring(30)], 1: opened[:1], 2: opened[1:]})
    )
    np.testing.assert_allclose(finding.table["velocity_px_per_frame"][1:], 2.0, atol=0.1)


def test_velocities_are_those_without_the_stage(line_tables, upright):
    given = line_tables({f: [upright(50 + 5.0 * f)] for f in range(3)})
    moved = given.tracks["frame"].to_numpy(float)
    tracks = given.tracks.assign(x=50 + 5 * moved, y=50.0, x_corrected=50 + moved, y_corrected=50.0)
    (finding,) = LineMotion(runtime=TYPES).analyse(replace(given, tracks=tracks))
    np.testing.assert_allclose(finding.table["velocity_px_per_frame"][1:], 1.0, atol=1e-6)
