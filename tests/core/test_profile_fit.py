from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from defectscope.core.profile_fit import ProfileFit, fit_profile
from defectscope.generators.line_contrast import LineStyle, cross_section

OFFSETS = np.arange(-48, 49) * 0.25


def painted(style, centre=0.0):
    """Return the profile that a painted line of unit strength has."""
    none = np.zeros(len(OFFSETS))
    width = np.full(len(OFFSETS), style.width_px)
    line = np.zeros(len(OFFSETS), int)
    return cross_section([style], line, OFFSETS - centre, none, none, width)


@given(
    st.sampled_from(["dark", "bright", "double"]),
    st.floats(2, 8),
    st.floats(1.8, 3),
    st.floats(-2, 2),
    st.floats(0.02, 0.5),
    st.sampled_from([-1, 1]),
)
@settings(max_examples=60)
def test_painted_profiles_come_back(kind, width, flatness, centre, strength, side):
    # The two lines of a narrower pair cannot be told from one on this grid.
    assume(kind != "double" or width >= 3)
    style = LineStyle(kind, 1.0, width, flatness, side)
    fit = fit_profile(OFFSETS, 0.6 + 0.003 * OFFSETS + strength * painted(style, centre))
    assert fit.kind == ("double" if kind == "double" else "single")
    assert fit.width_px == pytest.approx(width, rel=0.01)
    assert fit.centre_px == pytest.approx(centre, abs=0.02)
    sign = {"dark": -1, "bright": 1, "double": side}[kind]
    assert fit.amplitude == pytest.approx(sign * strength, rel=0.01)
    assert fit.base == pytest.approx(0.6, abs=0.002)
    assert fit.slope == pytest.approx(0.003, abs=2e-4)
    if kind != "double":
        assert fit.flatness == pytest.approx(flatness, rel=0.03)


def test_unknown_places_do_not_count():
    grey = 0.5 + 0.2 * painted(LineStyle("dark", 1.0, 4.0))
    grey[OFFSETS > 3] = np.nan
    assert fit_profile(OFFSETS, grey).width_px == pytest.approx(4, rel=0.02)
    grey[8:] = np.nan
    assert fit_profile(OFFSETS, grey) is None


def test_a_flat_profile_has_no_line():
    assert fit_profile(OFFSETS, np.full(len(OFFSETS), 0.4)).amplitude == pytest.approx(0, abs=1e-9)


def test_the_line_is_what_is_added_to_the_base():
    fit = ProfileFit("single", 1.0, 4.0, 2.0, -0.2, 0.5, 0.0)
    np.testing.assert_allclose(fit.line(np.array([1.0, 3.0, -1.0])), [-0.2, -0.1, -0.1])


def test_half_a_pair_is_none():
    grey = 0.5 + 0.2 * painted(LineStyle("double", 1.0, 8.0))
    assert fit_profile(OFFSETS, grey).kind == "double"
    grey[OFFSETS > 1.5] = np.nan
    assert fit_profile(OFFSETS, grey).kind == "single"
