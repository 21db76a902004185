"""Distances in pile-ups of lines whose courses are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from defectscope import Runtime
from defectscope.analysis.line_courses import Pileup
from defectscope.analysis.line_motion import LineMotion
from defectscope.analysis.line_spacing import LineSpacing, _names
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.plugins.testing import AnalysisConformance

TYPES = Runtime(defect_types={known.name: known for known in SHIPPED})
Y = np.linspace(0.0, 100.0, 41)


class TestLineSpacing(AnalysisConformance):
    component = LineSpacing


def test_neighbours_come_closer_as_they_were_drawn(line_tables, upright):
    given = line_tables(
        {f: [upright(100 + k * (20.0 - 2 * f)) for k in (2, 0, 1)] for f in range(4)}
    )
    (finding,) = LineSpacing(runtime=TYPES).analyse(given)
    table = finding.table.set_index("frame")
    assert table["lines"].tolist() == [3] * 4
    assert table["pileup"].tolist() == [0] * 4
    np.testing.assert_allclose(table["mean_distance_px"], [20, 18, 16, 14], atol=1e-6)
    np.testing.assert_allclose(table["mean_distance_nm"], [10, 9, 8, 7], atol=1e-6)
    np.testing.assert_allclose(table["standard_error_px"], 0, atol=1e-6)


@pytest.mark.parametrize("stagger", [0.0, 24.0, 48.0])
@pytest.mark.parametrize("zigzag", [False, True])
def test_lines_that_reach_past_each_others_ends_are_as_far_apart_as_they_lie(
    stagger, zigzag, line_tables, upright
):
    shifts = [stagger * (k % 2 if zigzag else k) for k in range(3)]
    lines = [upright(100 + 10 * k) + np.array([0, shifts[k]]) for k in range(3)]
    (finding,) = LineSpacing(runtime=TYPES).analyse(line_tables({0: lines}))
    assert finding.table["mean_distance_px"].tolist() == pytest.approx([10])


def test_lines_that_turn_or_lie_far_apart_are_no_pileup(line_tables, upright):
    across = np.stack([100 + Y, np.full_like(Y, 50.0)], axis=1)
    assert LineSpacing(runtime=TYPES).analyse(line_tables({0: [upright(100), across]})) == []
    apart = line_tables({0: [upright(0), upright(300)]})
    assert LineSpacing(runtime=TYPES).analyse(apart) == []
    assert "side by side" in LineSpacing(runtime=TYPES).why_nothing(apart)


def test_without_tracks_pileups_are_numbered_by_their_lines(line_tables, upright):
    here = [upright(x) for x in (0, 20, 40, 400, 420, 440, 460)]
    (finding,) = LineSpacing(runtime=TYPES).analyse(line_tables({0: here, 1: here}, tracked=False))
    assert finding.table.groupby("pileup")["lines"].first().tolist() == [4, 3]
    assert finding.table["detections"].tolist() == ["3 4 5 6", "3 4 5 6", "0 1 2", "0 1 2"]
    assert LineMotion(runtime=TYPES).analyse(line_tables({0: here, 1: here}, tracked=False)) == []


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


def test_pieces_of_a_line_in_a_pileup_are_one_line(line_tables, upright):
    broken = upright(20)[Y <= 45], upright(20)[Y >= 55]
    for lines in (
        [upright(0), *broken, upright(40)],
        [broken[0], upright(40), upright(0), broken[1]],
    ):
        (finding,) = LineSpacing(runtime=TYPES).analyse(line_tables({0: lines}))
        (row,) = finding.table.to_dict("records")
        assert row["lines"] == 3
        assert row["mean_distance_px"] == pytest.approx(20)
        assert row["standard_error_px"] == pytest.approx(0, abs=1e-6)
        order = [lines[int(k)][0, 0] for k in row["detections"].split()]
        assert order == [0, 20, 20, 40]


def test_bent_pieces_of_a_line_are_one_line_too(line_tables, upright):
    lines = [upright(k, bend=12) for k in (0, 20, 40)]
    lines[2:] = [lines[2][Y <= 60], lines[2][Y >= 66]]
    (finding,) = LineSpacing(runtime=TYPES).analyse(line_tables({0: lines}))
    assert finding.table["lines"].tolist() == [3]
    assert finding.table["mean_distance_px"][0] == pytest.approx(18.5, abs=1.5)


def test_lines_end_to_end_are_no_pileup(line_tables, upright):
    line = upright(20)
    pieces = [line[Y <= 30], line[(Y >= 35) & (Y <= 65)], line[Y >= 70]]
    assert LineSpacing(runtime=TYPES).analyse(line_tables({0: pieces})) == []


def test_lines_past_each_others_ends_are_two_lines_and_no_neighbours(line_tables, upright):
    staggered = upright(20)[Y <= 45], upright(0)[Y >= 55]
    (finding,) = LineSpacing(runtime=TYPES).analyse(line_tables({0: [upright(40), *staggered]}))
    # Both are neighbours of the third only.
    assert finding.table["lines"].tolist() == [3]
    assert finding.table["mean_distance_px"].tolist() == [pytest.approx(30)]


def test_two_lines_are_no_pileup_unless_asked_for(line_tables, upright):
    given = line_tables({0: [upright(0), upright(20)]})
    assert LineSpacing(runtime=TYPES).analyse(given) == []
    (finding,) = LineSpacing(LineSpacing.Options(least_lines=2), TYPES).analyse(given)
    assert finding.table["lines"].tolist() == [2]
