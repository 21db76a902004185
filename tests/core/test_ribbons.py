from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.geometry.splines import spline_through
from defectscope.core.ribbons import Ribbon, known_mean, smoothed_along, straightened

LEVEL = spline_through([[20, 30.5], [80, 30.5]])


def plane(shape=(61, 101)):
    """Return grey that rises by 0.01 a px to the right and 0.002 a px downwards."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return (0.1 + 0.004 * x + 0.006 * y).astype(np.float32)


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 200, 315])
def test_places_are_perpendicular_to_the_line_and_between_pixels(angle_deg):
    angle = np.deg2rad(angle_deg)
    along = np.array([np.cos(angle), np.sin(angle)])
    right = np.array([-along[1], along[0]])
    line = spline_through([[50, 30] - 12 * along, [50, 30] + 12 * along])
    ribbon = straightened(plane(), [line], 0, 6)
    places = line[:, None] + ribbon.offsets_px[:, None] * right
    np.testing.assert_allclose(ribbon.grey, 0.1 + places @ [0.004, 0.006], atol=3e-4)


def test_what_lies_outside_the_image_is_unknown():
    ribbon = straightened(plane(), [spline_through([[20, 2.5], [80, 2.5]])], 0, 6)
    unknown = np.isnan(ribbon.grey).all(axis=0)
    assert unknown[ribbon.offsets_px < -3].all()
    assert not np.isnan(ribbon.grey[:, ribbon.offsets_px > -0.5]).any()
    far = straightened(plane(), [LEVEL + np.array([500, 0])], 0, 6)
    assert np.isnan(far.grey).all()


def test_places_nearer_to_another_line_are_unknown():
    ribbon = straightened(plane(), [LEVEL, LEVEL + np.array([0, 6])], 0, 8)
    known = np.isfinite(ribbon.grey).all(axis=0)
    assert known[ribbon.offsets_px < 2.8].all()
    assert not known[ribbon.offsets_px > 3.2].any()
    crossing = spline_through([[50.3, 5], [50.3, 55]])
    ribbon = straightened(plane(), [LEVEL, crossing], 0, 8)
    centre = ribbon.grey[:, ribbon.offsets_px == 0].ravel()
    assert 3 <= np.isnan(centre).sum() <= 5


def test_the_average_needs_enough_of_the_line():
    grey = np.ones((10, 5))
    grey[1:, 0] = np.nan
    grey[:, 1] = np.nan
    grey[5:, 2] = 3
    average = Ribbon(np.arange(5.0), grey).averaged()
    np.testing.assert_array_equal(average, [np.nan, np.nan, 2, 1, 1])


def test_a_shift_moves_the_line_back_into_the_middle():
    offsets = np.arange(-40, 41) * 0.25
    shift = np.linspace(-1.3, 1.7, 30)
    grey = np.exp(-((offsets - shift[:, None]) ** 2))
    moved = Ribbon(offsets, grey).shifted(shift)
    inner = np.abs(offsets) < 6
    expected = np.broadcast_to(np.exp(-(offsets[inner] ** 2)), (30, inner.sum()))
    np.testing.assert_allclose(moved.grey[:, inner], expected, atol=0.02)
    assert np.isnan(moved.grey[-1, -1])


def test_means_pass_over_what_is_unknown():
    values = np.array([[1.0, np.nan], [3.0, np.nan]])
    np.testing.assert_array_equal(known_mean(values, axis=0), [2, np.nan])
    values = np.where(np.arange(40)[:, None] % 3 == 0, np.nan, 0.5)
    np.testing.assert_allclose(smoothed_along(values, 3.0), 0.5)
    assert np.isnan(smoothed_along(np.full((9, 1), np.nan), 2.0)).all()
