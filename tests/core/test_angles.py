"""Directions without a sense."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.geometry.angles import undirected_deg


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0, 0), (-1e-15, 0), (180, 0), (-180, 0), (-30, 150), (200, 20), (1e-15, 1e-15)],
)
def test_every_direction_has_one_angle(given, expected):
    assert undirected_deg(given) == expected
    assert undirected_deg([given, np.nan])[0] == expected


def test_what_is_not_known_stays_so():
    assert np.isnan(undirected_deg(np.nan))
