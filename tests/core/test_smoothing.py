"""Smoothing splines: noise goes, lines stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import CubicSpline

from defectscope.core.geometry.curves import distances_to_curve
from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.geometry.smoothing import _natural_spline, smoothed_curve


def arc(radius=60.0, count=60):
    angle = np.linspace(0, 2, count)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_noise_goes_and_the_arc_stays():
    rng = np.random.default_rng(1)
    noisy = arc() + rng.normal(0, 0.4, (60, 2))
    smooth = smoothed_curve(noisy, 20.0)
    assert distances_to_curve(smooth, arc(count=500)).mean() < 0.2
    assert polyline_length(smooth) == pytest.approx(120, rel=0.01)
    assert polyline_length(noisy) > 123


def test_without_smoothing_it_goes_through_every_point():
    np.testing.assert_allclose(distances_to_curve(arc(), smoothed_curve(arc(), 0.0)), 0, atol=0.02)


def test_bends_of_the_wavelength_are_halved():
    x = np.linspace(0, 400, 401)
    wave = np.stack([x, np.sin(2 * np.pi * x / 20)], axis=1)
    middle = smoothed_curve(wave, 20.0, step_px=0.5)
    inner = middle[(middle[:, 0] > 100) & (middle[:, 0] < 300), 1]
    assert np.abs(inner).max() == pytest.approx(0.5, abs=0.03)


def test_points_are_equally_spaced_and_as_many_as_asked_for():
    curve = smoothed_curve(arc(), 10.0, count=50)
    assert curve.shape == (50, 2)
    steps = np.hypot(*np.diff(curve, axis=0).T)
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-3)


@pytest.mark.parametrize("points", [[[3.0, 4.0]], [[3.0, 4.0]] * 4])
def test_a_line_of_one_place_stays_there(points):
    assert smoothed_curve(points, 10.0, count=5).tolist() == [[3.0, 4.0]] * 5


def test_two_and_three_points_are_no_error():
    assert polyline_length(smoothed_curve([[0, 0], [10, 0]], 10.0)) == pytest.approx(10)
    assert len(smoothed_curve([[0, 0], [5, 1], [10, 0]], 10.0)) > 3


@given(
    steps=arrays(float, st.integers(2, 40), elements=st.floats(0.1, 9)),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_course_between_points_is_the_natural_spline_of_scipy(steps, seed):
    x = np.concatenate([[0.0], np.cumsum(steps)])
    y = np.random.default_rng(seed).normal(0, 10, (len(x), 2))
    at = np.linspace(0, x[-1], 200)
    expected = CubicSpline(x, y, bc_type="natural")(at)
    np.testing.assert_allclose(_natural_spline(x, y, at), expected, atol=1e-7)


def test_a_closed_curve_stays_closed_and_round():
    angle = np.linspace(0, 2 * np.pi, 190)
    ring = np.round(50 + 30 * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    ring[-1] = ring[0]
    curve = smoothed_curve(ring, 20, count=50)
    assert np.array_equal(curve[0], curve[-1])
    radius = np.hypot(*(curve - 50).T)
    assert np.abs(radius - 30).max() < 0.7
    # It does not matter where the curve was cut.
    turned = smoothed_curve(np.concatenate([ring[95:-1], ring[:96]]), 20, count=50)
    assert np.abs(np.hypot(*(turned - 50).T) - 30).max() < 0.7
