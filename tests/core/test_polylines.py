from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.geometry.polylines import (
    polyline_box,
    polyline_inside,
    polyline_length,
    polyline_resample,
)

coordinate = st.floats(-100, 100, width=32)
lines = st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=12)


def test_length():
    assert polyline_length([[0, 0], [3, 4], [3, 10]]) == 11
    assert polyline_length([[1, 1]]) == 0
    assert polyline_length([]) == 0


def test_points_are_equally_spaced_along_the_line():
    corner = polyline_resample([[0, 0], [4, 0], [4, 4]], 5)
    assert corner.tolist() == [[0, 0], [2, 0], [4, 0], [4, 2], [4, 4]]


@given(lines, st.integers(2, 60))
def test_resampling_keeps_the_ends_and_stays_on_the_line(line, count):
    points = polyline_resample(line, count)
    length = polyline_length(line)
    assert points.shape == (count, 2)
    assert np.allclose(points[[0, -1]], [line[0], line[-1]], atol=1e-6)
    steps = np.hypot(*np.diff(points, axis=0).T)
    assert (steps <= length / (count - 1) + 1e-6).all()
    assert polyline_length(points) <= length + 1e-6


def test_many_points_give_the_length_of_a_curve():
    t = np.linspace(0, np.pi, 2001)
    arc = np.stack([20 * np.cos(t), 20 * np.sin(t)], 1)
    fifty = polyline_resample(arc, 50)
    assert polyline_length(fifty) == pytest.approx(20 * np.pi, rel=2e-4)
    steps = np.hypot(*np.diff(fifty, axis=0).T)
    assert np.ptp(steps) < 1e-3


def test_lines_without_length():
    assert polyline_resample([[2, 3]], 4).tolist() == [[2, 3]] * 4
    assert polyline_resample([[2, 3], [2, 3]], 3).tolist() == [[2, 3]] * 3
    assert polyline_resample([[2, 3], [5, 3]], 1).tolist() == [[2, 3]]
    assert polyline_resample([], 3).shape == (0, 2)


def test_vertices_that_come_twice():
    doubled = polyline_resample([[0, 0], [0, 0], [4, 0], [4, 0]], 3)
    assert doubled.tolist() == [[0, 0], [2, 0], [4, 0]]


def test_a_box_is_never_empty():
    assert polyline_box([[3, 7], [9, 7]]) == (2.5, 6.5, 9.5, 7.5)
    assert polyline_box([[3, 7]], margin=2) == (1, 5, 5, 9)
    x0, y0, x1, y1 = polyline_box([[3, 7], [1, 9], [2, 2]])
    assert (x0, y0, x1, y1) == (0.5, 1.5, 3.5, 9.5)


BOX = (0, 0, 10, 10)


@pytest.mark.parametrize(
    ("line", "inside"),
    [
        ([(1, 1), (9, 9)], [(1, 1), (9, 9)]),
        ([(-5, 5), (15, 5)], [(0, 5), (10, 5)]),
        ([(5, -5), (5, 4), (5, 4), (15, 4)], [(5, 0), (5, 4), (5, 4), (10, 4)]),
        # Of two pieces the longer one.
        ([(2, 5), (2, -5), (4, -5), (4, 9)], [(4, 0), (4, 9)]),
        # Along the border, and past a corner.
        ([(-1, 0), (4, 0)], [(0, 0), (4, 0)]),
        ([(-2, 1), (1, -2)], []),
        ([(20, 20), (30, 5)], []),
        ([(3, 3)], []),
        ([], []),
    ],
)
def test_the_piece_inside_of_a_box(line, inside):
    found = polyline_inside(np.array(line, float).reshape(-1, 2), BOX)
    np.testing.assert_allclose(found, np.array(inside, float).reshape(-1, 2), atol=1e-12)
