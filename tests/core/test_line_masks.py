"""Masks of lines are as wide as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.geometry.curves import distances_to_curve
from defectscope.core.line_masks import mask_of_line


@pytest.mark.parametrize("width", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("points", [2, 400])
@pytest.mark.parametrize("end", [(590.0, 40.3), (590.0, 90.0), (300.0, 330.0)])
def test_a_mask_is_as_wide_as_it_says(width, points, end):
    line = np.linspace([10.0, 40.3], end, points)
    length = float(np.hypot(*(line[-1] - line[0])))
    # The ends are round.
    area = length * width + np.pi * width**2 / 4
    assert mask_of_line(line, width).area_px == pytest.approx(area, rel=0.12)


@given(
    st.lists(st.tuples(st.floats(3, 60), st.floats(3, 60)), min_size=2, max_size=5),
    st.integers(2, 6),
)
def test_pixels_lie_within_half_the_width(points, width):
    line = np.array(points)
    mask = mask_of_line(line, width).to_dense((70, 70))
    rows, columns = np.indices(mask.shape)
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5
    apart = distances_to_curve(centres, line).reshape(mask.shape)
    assert apart[mask].max(initial=0) <= width / 2 + 1e-6
    assert mask[apart < width / 2 - 0.2].all()


def test_no_point_gives_nothing():
    assert mask_of_line(np.zeros((0, 2)), 5).area_px == 0
