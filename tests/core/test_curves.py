"""Distances between curves, against what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.core.geometry.curvature import chord_angle_deg, curvatures, curvatures_inside
from defectscope.core.geometry.curves import (
    distances_to_curve,
    mean_curve_distance,
    normal_displacement,
    two_way_distance,
)

STRAIGHT = np.array([[0.0, 0.0], [100.0, 0.0]])


def circle(radius, start=0.0, stop=np.pi, count=200):
    angle = np.linspace(start, stop, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def test_distance_is_to_the_segment_not_to_its_ends():
    found = distances_to_curve([[50, 3], [-3, 4], [104, -3]], STRAIGHT)
    np.testing.assert_allclose(found, [3, 5, 5])
    np.testing.assert_allclose(distances_to_curve([[3, 4]], [[0, 0]]), [5])


def test_a_part_is_at_no_distance_one_way_and_at_some_both_ways():
    part = np.array([[20.0, 0.0], [40.0, 0.0]])
    for one, other in ((part, STRAIGHT), (STRAIGHT, part)):
        assert mean_curve_distance(one, other) == pytest.approx(0, abs=1e-9)
    # Of the longer line, 20 px lie before the part and 60 px behind it.
    expected = (20 * 10 + 60 * 30) / 100 / 2
    assert two_way_distance(part, STRAIGHT) == pytest.approx(expected, rel=0.03)


@settings(max_examples=40)
@given(st.floats(-7, 7), st.floats(0, 2 * np.pi), st.floats(20, 200))
def test_what_moves_sideways_moves_by_that(shift, angle, length):
    along, across = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([-np.sin(angle), np.cos(angle)]),
    )
    line = np.linspace(0, length, 20)[:, None] * along
    moved = line + shift * across + 3 * along
    # Sliding along itself does not count.
    assert normal_displacement(line, moved) == pytest.approx(shift, abs=1e-6)


def test_an_arc_has_the_curvature_of_its_circle():
    np.testing.assert_allclose(np.abs(curvatures(circle(25))), 1 / 25, rtol=1e-6)
    assert (curvatures(circle(25)) > 0).all()
    assert (curvatures(circle(25)[::-1]) < 0).all()
    assert curvatures(STRAIGHT).tolist() == [0, 0]
    assert curvatures([[1, 1]] * 5).tolist() == [0] * 5


def test_curvature_inside_leaves_out_the_ends_of_open_curves_only():
    # 60 px, of which the last 9 are a bow.
    straight = np.stack([np.arange(0.0, 52), np.zeros(52)], axis=1)
    bow = circle(10, -np.pi / 2, -0.6, 10)[1:] + np.array([51, 10])
    curve = np.concatenate([straight, bow])
    assert np.abs(curvatures_inside(curve, 8)).max() > 0.05
    assert curvatures_inside(curve, 11).max() == pytest.approx(0)
    assert len(curvatures_inside(straight, 5)) == 42
    # The middle third stays, and where no point lies in it all do.
    assert len(curvatures_inside(straight, 1000)) == 18
    assert len(curvatures_inside([[0, 0], [1, 0], [2, 1], [30, 2]], 1000)) == 4
    round_ = circle(25, 0, 2 * np.pi)
    round_[-1] = round_[0]
    assert curvatures_inside(round_, 20).tolist() == curvatures(round_).tolist()


def test_direction_counts_counter_clockwise_as_seen():
    assert chord_angle_deg([[0, 0], [1, -1]]) == pytest.approx(45)
    assert chord_angle_deg([[1, -1], [0, 0]]) == pytest.approx(45)
    assert chord_angle_deg([[0, 0], [0, 5]]) == pytest.approx(90)
    assert chord_angle_deg([[0, 0], [5, 1e-15]]) == 0
    assert np.isnan(chord_angle_deg(circle(5, 0, 2 * np.pi)[[0, 100, 0]]))
