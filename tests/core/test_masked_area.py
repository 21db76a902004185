"""Masked areas against pixels that are counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.masked_area import MaskedArea

BITMAP = np.random.default_rng(0).random((9, 13)) < 0.4
SIDE = st.floats(-3, 16)


@given(SIDE, SIDE, SIDE, SIDE)
def test_the_area_is_the_sum_of_the_parts_of_pixels(x0, y0, x1, y1):
    rows, columns = np.nonzero(BITMAP)
    wide = np.clip(np.minimum(columns + 1, x1) - np.maximum(columns, x0), 0, None)
    high = np.clip(np.minimum(rows + 1, y1) - np.maximum(rows, y0), 0, None)
    expected = float((wide * high).sum())
    found = MaskedArea(BITMAP).in_boxes([[x0, y0, x1, y1]])
    assert found.tolist() == pytest.approx([expected], abs=1e-9)


@given(SIDE, SIDE)
def test_a_point_is_masked_as_its_pixel_is(x, y):
    inside = 0 <= x < 13 and 0 <= y < 9
    expected = bool(inside and BITMAP[int(y), int(x)])
    assert MaskedArea(BITMAP).holds([x], [y]).tolist() == [expected]


def test_what_is_not_known_is_not_masked():
    assert MaskedArea(np.ones((2, 2), bool)).holds([np.nan, 1.0], [0.5, np.nan]).tolist() == [0, 0]
