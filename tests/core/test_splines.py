from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.geometry.splines import spline_through

coordinate = st.floats(0, 500, width=32)
supports = st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=9)


def test_points_lie_on_the_spline_through_the_support_points():
    support = np.array([[10, 10], [40, 30], [55, 80], [90, 100]], float)
    arc = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(support, axis=0).T))])
    exact = CubicSpline(arc, support, bc_type="natural")(np.linspace(0, arc[-1], 20_001))
    points = spline_through(support)
    gaps = np.hypot(*(points[:, None] - exact[None]).transpose(2, 0, 1)).min(axis=1)
    assert gaps.max() < 0.02
    steps = np.hypot(*np.diff(points, axis=0).T)
    np.testing.assert_allclose(steps, steps[0], rtol=2e-3)
    assert 0.9 < steps[0] <= 1


def test_uneven_support_points_of_a_circle_stay_near_it():
    angles = np.deg2rad([0, 4, 35, 50, 53, 95, 130])
    support = 80 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    radii = np.hypot(*spline_through(support).T)
    # A natural end is straight, so that the last wide gap is a little flat.
    np.testing.assert_allclose(radii, 80, atol=1.6)


def test_two_points_are_a_straight_line():
    points = spline_through([[0, 0], [30, 40]], step_px=2.0)
    np.testing.assert_allclose(points, np.linspace([0, 0], [30, 40], 26))


def test_points_given_twice_count_once():
    support = [[0, 0], [0, 0], [20, 10], [20, 10], [40, 0]]
    np.testing.assert_allclose(spline_through(support), spline_through(support[1:3] + support[4:]))


def test_points_at_one_place_are_refused():
    with pytest.raises(ValueError, match="two places or more"):
        spline_through([[3, 3], [3, 3]])


@given(supports, st.floats(0.3, 3))
def test_ends_are_kept_and_steps_are_no_longer_than_asked(support, step):
    places = np.asarray(support, float)
    if np.hypot(*np.diff(places, axis=0).T).min() < 1e-3:
        return
    points = spline_through(support, step)
    np.testing.assert_allclose(points[[0, -1]], places[[0, -1]], atol=1e-6)
    assert np.hypot(*np.diff(points, axis=0).T).max() <= step * (1 + 1e-6)
    assert polyline_length(points) >= np.hypot(*(places[-1] - places[0])) - 1e-6
