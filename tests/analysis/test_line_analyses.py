"""Distances in pile-ups, velocities and curvatures of lines whose courses are known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration, Runtime, Tables
from defectscope.analysis.line_courses import Pileup
from defectscope.analysis.line_density import LineDensity
from defectscope.analysis.line_motion import LineMotion
from defectscope.analysis.line_spacing import LineSpacing, _names
from defectscope.core.geometry.smoothing import smoothed_curve
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.plugins.testing import AnalysisConformance

TYPES = Runtime(defect_types={known.name: known for known in SHIPPED})
NM = Calibration(pixel_size_nm=0.5, frame_interval_s=2.0)
Y = np.linspace(0.0, 100.0, 41)


class TestLineSpacing(AnalysisConformance):
    component = LineSpacing


class TestLineMotion(AnalysisConformance):
    component = LineMotion


class TestLineDensity(AnalysisConformance):
    component = LineDensity


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
    index = pd.DataFrame({"frame": list(frames), "time_s": times, "dose_dpa": np.nan,
                          "status": "ok", "width_px": 400, "height_px": 200})  # fmt: skip
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


@pytest.mark.parametrize("stagger", [0.0, 24.0, 48.0])
@pytest.mark.parametrize("zigzag", [False, True])
def test_lines_that_reach_past_each_others_ends_are_as_far_apart_as_they_lie(stagger, zigzag):
    shifts = [stagger * (k % 2 if zigzag else k) for k in range(3)]
    lines = [upright(100 + 10 * k) + np.array([0, shifts[k]]) for k in range(3)]
    (finding,) = LineSpacing(runtime=TYPES).analyse(tables({0: lines}))
    assert finding.table["mean_distance_px"].tolist() == pytest.approx([10])


def test_lines_that_turn_or_lie_far_apart_are_no_pileup():
    across = np.stack([100 + Y, np.full_like(Y, 50.0)], axis=1)
    assert LineSpacing(runtime=TYPES).analyse(tables({0: [upright(100), across]})) == []
    apart = tables({0: [upright(0), upright(300)]})
    assert LineSpacing(runtime=TYPES).analyse(apart) == []
    assert "side by side" in LineSpacing(runtime=TYPES).why_nothing(apart)


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


def test_lines_that_were_filled_in_were_not_seen_to_move():
    given = tables({f: [upright(50 + 3.0 * f)] for f in range(4)})
    origin = np.where(given.detections["frame"] == 2, "interpolated", "detector")
    given = replace(given, detections=given.detections.assign(origin=origin))
    (finding,) = LineMotion(runtime=TYPES).analyse(given)
    assert finding.table["frame"].tolist() == [0, 1, 3]
    np.testing.assert_allclose(finding.table["displacement_px"].abs()[1:], [3, 6], atol=1e-6)
    (density,) = LineDensity(runtime=TYPES).analyse(given)
    assert density.table["lines"].tolist() == [1] * 4


def test_all_lines_of_a_frame_have_one_sense_of_velocity():
    # All glide to the right; their vertices run up or down, and they lean to either side.
    lean = np.array([0.3, 0.0]) * Y[:, None]
    turned = {0: 1, 1: -1, 2: 1, 3: -1}
    frames = {
        f: [(upright(50.0 + 60 * k + 3 * f) + (k - 1.5) * lean)[::way] for k, way in turned.items()]
        for f in range(3)
    }
    (finding,) = LineMotion(runtime=TYPES).analyse(tables(frames))
    speed = finding.table["velocity_px_per_frame"].dropna()
    assert len(speed) == 8
    assert (speed > 2).all()
    assert "point 0° from the x axis" in finding.note.replace("-0°", "0°")
    back = {f: frames[2 - f] for f in frames}
    (finding,) = LineMotion(runtime=TYPES).analyse(tables(back))
    assert (finding.table["velocity_px_per_frame"].dropna() < -2).all()


@pytest.mark.parametrize(("waves", "signed"), [(1, -1), (2, 0)], ids=["bow", "s"])
def test_curvature_with_sign_is_that_of_the_whole_line(waves, signed):
    line = np.stack([50 + 3 * np.sin(waves * np.pi * Y / 100), Y], axis=1)
    (finding,) = LineMotion(runtime=TYPES).analyse(tables({0: [line], 1: [line[::-1] + 1.0]}))
    amount, found = (finding.table[f"{n}curvature_per_px"].to_numpy() for n in ("", "signed_"))
    assert (amount > 1e-3).all()
    # A bow to the right, where positive velocities point, has its ends on the left.
    np.testing.assert_allclose(found, signed * amount, atol=1e-4)
    nm = finding.table["signed_curvature_per_nm"]
    np.testing.assert_allclose(nm, found / 0.5)


def test_curvature_is_that_of_a_circle():
    angle = np.linspace(0, np.pi / 2, 200)
    arc = np.stack([200 * np.cos(angle), 200 * np.sin(angle)], axis=1)
    (finding,) = LineMotion(runtime=TYPES).analyse(tables({0: [arc], 1: [arc]}))
    np.testing.assert_allclose(finding.table["curvature_per_px"], 1 / 200, rtol=0.05)
    np.testing.assert_allclose(finding.table["curvature_per_nm"], 1 / 100, rtol=0.05)


@pytest.mark.parametrize("length", [20, 30, 60])
def test_curvature_is_that_of_an_arc_also_where_it_was_smoothed(length):
    angle = np.linspace(0, length / 60, 2 * length + 1)
    arc = np.stack([60 * np.cos(angle), 60 * np.sin(angle)], axis=1)
    smoothed = smoothed_curve(arc, 14.0, count=50)
    (finding,) = LineMotion(runtime=TYPES).analyse(tables({0: [smoothed], 1: [smoothed]}))
    for name in ("curvature_per_px", "signed_curvature_per_px"):
        np.testing.assert_allclose(finding.table[name].abs(), 1 / 60, rtol=0.08)
    whole = LineMotion(LineMotion.Options(end_px=0), TYPES)
    (finding,) = whole.analyse(tables({0: [smoothed], 1: [smoothed]}))
    assert (finding.table["curvature_per_px"] < 0.92 / 60).all()


def ring(radius, start=0.0, way=1, x=100.0):
    """Return a closed circle that begins anywhere and runs either way."""
    angle = start + way * np.linspace(0, 2 * np.pi, 121)
    points = np.stack([x + radius * np.cos(angle), 60 + radius * np.sin(angle)], axis=1)
    points[-1] = points[0]
    return points


@pytest.mark.parametrize("grows", [1, -1])
def test_a_closed_line_that_grows_has_a_positive_velocity(grows):
    rng = np.random.default_rng(3)
    radii = 30.0 + 2 * grows * np.arange(8)
    ways, starts = rng.choice([-1, 1], 8), rng.uniform(0, 6, 8)
    assert len(set(ways[1:])) == 2
    frames = {
        f: [ring(r, start, way)]
        for f, (r, start, way) in enumerate(zip(radii, starts, ways, strict=True))
    }
    (finding,) = LineMotion(runtime=TYPES).analyse(tables(frames))
    speed = finding.table["velocity_px_per_frame"].to_numpy()[1:]
    np.testing.assert_allclose(speed, 2.0 * grows, atol=0.05)
    np.testing.assert_allclose(finding.table["signed_curvature_per_px"], -1 / radii, rtol=0.02)
    assert finding.note == "Positive velocities point outwards: all lines are closed."


def test_open_and_closed_lines_have_their_own_senses():
    frames = {f: [upright(20 + 3.0 * f), ring(30 + 2 * f, f, (-1) ** f, x=200)] for f in range(4)}
    (finding,) = LineMotion(runtime=TYPES).analyse(tables(frames))
    speed = finding.table.groupby("particle")["velocity_px_per_frame"].apply(list)
    np.testing.assert_allclose(speed[0][1:], 3.0, atol=1e-6)
    np.testing.assert_allclose(speed[1][1:], 2.0, atol=0.05)
    assert "0° from the x axis" in finding.note
    assert finding.note.endswith("in the image, and those of closed lines outwards.")


@pytest.mark.parametrize("way", [1, -1])
def test_a_closed_line_that_opens_goes_round_as_before(way):
    opened = [ring(32, 1.0, way)[:-3], ring(34, 1.0, -way)[3:]]
    (finding,) = LineMotion(runtime=TYPES).analyse(
        tables({0: [ring(30)], 1: opened[:1], 2: opened[1:]})
    )
    np.testing.assert_allclose(finding.table["velocity_px_per_frame"][1:], 2.0, atol=0.1)


@pytest.mark.parametrize("analysis", [LineSpacing, LineMotion])
def test_outlines_and_nothing_give_nothing(analysis):
    loops = tables({f: [upright(0), upright(20)] for f in (0, 1)}, defect_type="dislocation-loop")
    assert analysis(runtime=TYPES).analyse(loops) == []
    assert analysis(runtime=TYPES).analyse(tables({0: []})) == []


def test_unknown_scale_leaves_px():
    frames = {f: [upright(0), upright(20), upright(40)] for f in (0, 1)}
    given = tables(frames, Calibration())
    (spacing,) = LineSpacing(runtime=TYPES).analyse(given)
    assert spacing.table["mean_distance_nm"].isna().all()
    (motion,) = LineMotion(runtime=TYPES).analyse(given)
    assert motion.table["velocity_nm_per_s"].isna().all()


def test_without_tracks_pileups_are_numbered_by_their_lines():
    here = [upright(x) for x in (0, 20, 40, 400, 420, 440, 460)]
    (finding,) = LineSpacing(runtime=TYPES).analyse(tables({0: here, 1: here}, tracked=False))
    assert finding.table.groupby("pileup")["lines"].first().tolist() == [4, 3]
    assert finding.table["detections"].tolist() == ["3 4 5 6", "3 4 5 6", "0 1 2", "0 1 2"]
    assert LineMotion(runtime=TYPES).analyse(tables({0: here, 1: here}, tracked=False)) == []


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        # One goes on while its lines come and go, also where it was not seen in between.
        ([[[0, 1, 2]], [[1, 2, 3]], [], [[3, 4, 5]]], [0, 0, 0]),
        # Two that swap a line, or of which one takes most of the other's, stay two.
        ([[[0, 1, 2], [3, 4, 5]], [[0, 1, 3], [2, 4, 5]]], [0, 1, 0, 1]),
        ([[[0, 1], [2, 3, 4]], [[0, 2, 3], [1, 4]]], [0, 1, 1, 0]),
        # One that splits goes on in the part that has most of it; the other is a new one.
        ([[[0, 1, 2, 3, 4]], [[0, 1], [2, 3, 4]], [[0, 1], [2, 3, 4]]], [0, 1, 0, 1, 0]),
        # Of two that merge, the one that more lines come from goes on.
        ([[[0, 1], [2, 3, 4]], [[0, 1, 2, 3, 4]]], [0, 1, 1]),
        # What was not tracked is always a new one.
        ([[[0, 1], [-1, -1]], [[-1, -1], [-1, 1]]], [0, 1, 2, 0]),
    ],
)
def test_a_pileup_goes_on_where_most_of_its_lines_are(frames, expected):
    found = [
        (
            frame,
            [SimpleNamespace(particle=p) for p in particles],
            Pileup([[k] for k in range(len(particles))], {}),
        )
        for frame, here in enumerate(frames)
        for particles in here
    ]
    assert _names(found) == expected


@pytest.mark.parametrize("seed", range(3))
def test_pileups_of_one_frame_have_numbers_of_their_own(seed):
    rng = np.random.default_rng(seed)
    found = []
    for frame in range(60):
        for particles in rng.permutation(30)[:12].reshape(3, 4):
            here = [SimpleNamespace(particle=int(p)) for p in particles]
            found.append((frame, here, Pileup([[0], [1], [2], [3]], {})))
    names = np.reshape(_names(found), (60, 3))
    assert all(len(set(row)) == 3 for row in names)


def test_pieces_of_a_line_in_a_pileup_are_one_line():
    broken = upright(20)[Y <= 45], upright(20)[Y >= 55]
    for lines in (
        [upright(0), *broken, upright(40)],
        [broken[0], upright(40), upright(0), broken[1]],
    ):
        (finding,) = LineSpacing(runtime=TYPES).analyse(tables({0: lines}))
        (row,) = finding.table.to_dict("records")
        assert row["lines"] == 3
        assert row["mean_distance_px"] == pytest.approx(20)
        assert row["standard_error_px"] == pytest.approx(0, abs=1e-6)
        order = [lines[int(k)][0, 0] for k in row["detections"].split()]
        assert order == [0, 20, 20, 40]


def test_bent_pieces_of_a_line_are_one_line_too():
    lines = [upright(k, bend=12) for k in (0, 20, 40)]
    lines[2:] = [lines[2][Y <= 60], lines[2][Y >= 66]]
    (finding,) = LineSpacing(runtime=TYPES).analyse(tables({0: lines}))
    assert finding.table["lines"].tolist() == [3]
    assert finding.table["mean_distance_px"][0] == pytest.approx(18.5, abs=1.5)


def test_lines_end_to_end_are_no_pileup():
    line = upright(20)
    pieces = [line[Y <= 30], line[(Y >= 35) & (Y <= 65)], line[Y >= 70]]
    assert LineSpacing(runtime=TYPES).analyse(tables({0: pieces})) == []


def test_lines_past_each_others_ends_are_two_lines_and_no_neighbours():
    staggered = upright(20)[Y <= 45], upright(0)[Y >= 55]
    (finding,) = LineSpacing(runtime=TYPES).analyse(tables({0: [upright(40), *staggered]}))
    # Both are neighbours of the third only.
    assert finding.table["lines"].tolist() == [3]
    assert finding.table["mean_distance_px"].tolist() == [pytest.approx(30)]


def test_two_lines_are_no_pileup_unless_asked_for():
    given = tables({0: [upright(0), upright(20)]})
    assert LineSpacing(runtime=TYPES).analyse(given) == []
    (finding,) = LineSpacing(LineSpacing.Options(least_lines=2), TYPES).analyse(given)
    assert finding.table["lines"].tolist() == [2]


class TestDensity:
    FOIL = Calibration(pixel_size_nm=0.5, thickness_nm=100.0)

    @staticmethod
    def table(given, **options):
        (finding,) = LineDensity(LineDensity.Options(**options), TYPES).analyse(given)
        return finding, finding.table

    def test_it_is_the_length_by_volume(self):
        finding, table = self.table(
            tables({0: [upright(20), upright(60)], 1: [upright(20)]}, self.FOIL)
        )
        assert table["lines"].tolist() == [2, 1]
        np.testing.assert_allclose(table["length_px"], [200, 100])
        np.testing.assert_allclose(table["length_px_error"], [100 * 2**0.5, 100])
        # 200 px of 0.5 nm on 200 nm x 100 nm.
        np.testing.assert_allclose(table["length_per_area_per_m"], [5e6, 2.5e6])
        np.testing.assert_allclose(table["dislocation_density_per_m2"], [5e13, 2.5e13])
        (key,) = finding.numbers
        assert (key.unit, key.value) == ("1/m²", pytest.approx(2.5e13))
        assert key.low < key.value < key.high

    def test_a_line_in_pieces_has_the_same_density(self):
        whole = upright(20)
        _, one = self.table(tables({0: [whole]}, self.FOIL))
        _, other = self.table(tables({0: [whole[:21], whole[20:]]}, self.FOIL))
        assert other["lines"].tolist() == [2]
        np.testing.assert_allclose(one["length_px"], other["length_px"], rtol=1e-6)

    def test_only_what_lies_in_the_field_counts(self):
        masked = np.zeros((200, 400), bool)
        masked[50:] = True
        given = replace(tables({0: [upright(20)]}, self.FOIL), masked=masked)
        _, table = self.table(given)
        assert table["length_px"].iloc[0] == pytest.approx(50, abs=1.5)
        assert table["area_px"].iloc[0] == 400 * 50

    def test_lines_in_all_directions_are_longer_than_their_image(self):
        given = tables({0: [upright(20)]}, self.FOIL)
        _, table = self.table(given, projection="random")
        assert table["length_px"].iloc[0] == pytest.approx(400 / np.pi)

    def test_a_frame_without_lines_has_an_upper_limit(self):
        given = tables({0: [upright(20), upright(60)], 1: []}, self.FOIL)
        _, table = self.table(given)
        last = table.iloc[1]
        assert (last["length_px"], last["length_px_low"]) == (0, 0)
        assert last["length_px_high"] == pytest.approx(3.689 * 100, rel=1e-3)


def test_outlines_of_an_unregistered_type_are_no_lines():
    # As watershed-ellipse gives them: a closed course, and no length.
    given = tables({0: [upright(20), upright(60), upright(100)]}, defect_type="cavity")
    for analysis in (LineDensity, LineMotion, LineSpacing):
        assert analysis(runtime=TYPES).analyse(given) == []
    # Lines of such a type have one.
    given = replace(given, detections=given.detections.assign(length_px=100.0))
    (finding,) = LineDensity(runtime=TYPES).analyse(given)
    assert finding.table["length_px"].tolist() == [pytest.approx(300)]


def test_lines_that_no_track_has_count_in_the_density_and_in_pileups():
    given = tables({f: [upright(20 + f), upright(60 + f), upright(100 + f)] for f in range(2)})
    given = replace(given, tracks=given.tracks[given.tracks["particle"] == 1])
    (density,) = LineDensity(runtime=TYPES).analyse(given)
    assert density.table["lines"].tolist() == [3, 3]
    (spacing,) = LineSpacing(runtime=TYPES).analyse(given)
    # The tracked one tells that it is the same pile-up.
    assert spacing.table[["lines", "pileup"]].to_numpy().tolist() == [[3, 0], [3, 0]]
    (motion,) = LineMotion(runtime=TYPES).analyse(given)
    assert motion.table["particle"].unique().tolist() == [1]


def test_velocities_are_those_without_the_stage():
    given = tables({f: [upright(50 + 5.0 * f)] for f in range(3)})
    moved = given.tracks["frame"].to_numpy(float)
    tracks = given.tracks.assign(x=50 + 5 * moved, y=50.0, x_corrected=50 + moved, y_corrected=50.0)
    (finding,) = LineMotion(runtime=TYPES).analyse(replace(given, tracks=tracks))
    np.testing.assert_allclose(finding.table["velocity_px_per_frame"][1:], 1.0, atol=1e-6)


def test_of_lines_the_part_in_the_region_counts():
    given = replace(tables({0: [upright(20)]}), roi=(0, 0, 400, 60))
    (finding,) = LineDensity(runtime=TYPES).analyse(given)
    assert finding.table["area_px"][0] == 400 * 60
    assert finding.table["length_px"][0] == pytest.approx(60, abs=1.5)


def test_the_density_is_divided_by_the_visible_fraction_and_the_length_is_not():
    seen, true = (
        LineDensity(runtime=TYPES)
        .analyse(
            tables(
                {0: [upright(20), upright(60)], 1: []},
                Calibration(pixel_size_nm=0.5, thickness_nm=100, visible_fraction=given),
            )
        )[0]
        .table
        for given in ({}, {"dislocation": 0.5})
    )
    for suffix in ("", "_error", "_low", "_high"):
        name = f"dislocation_density_per_m2{suffix}"
        np.testing.assert_allclose(true[name], 2 * seen[name])
        np.testing.assert_allclose(true[f"length_px{suffix}"], seen[f"length_px{suffix}"])
