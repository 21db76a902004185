"""Enlarging small arrays: linear between the centres of their cells."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from defectscope.generators.enlarging import enlarged


@pytest.mark.parametrize(
    ("small", "large"),
    [((5, 5), (40, 40)), ((7, 3), (50, 61)), ((1, 4), (9, 9)), ((1, 1), (3, 2)), ((6, 6), (6, 6))],
)
def test_it_is_what_opencv_gives(small, large):
    values = np.random.default_rng(0).random(small)
    expected = cv2.resize(values, large[::-1], interpolation=cv2.INTER_LINEAR)
    found = enlarged(values, large)
    assert found.shape == large
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.reshape(large), atol=3e-7)


def test_a_slope_stays_a_slope():
    slope = np.arange(8.0)[None, :] + np.zeros((3, 1))
    found = enlarged(slope, (12, 32))
    np.testing.assert_allclose(np.diff(found[:, 2:-2], axis=1), 0.25, atol=1e-6)
