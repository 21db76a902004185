from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.geometry.splines import spline_through
from defectscope.generators.slip_traces import paint_trace
from defectscope.generators.twin_traces import SlipTrace, inferred_traces, measured_traces

SHAPE = (200, 300)
LINES = [np.array([[x, 60.0], [x + 8, 100], [x - 4, 140]]) for x in (80, 110, 150)]
PATHS = [spline_through(line) for line in LINES]


def canvas(*traces, sigma=0.03):
    pixels = (0.5 + sigma * np.random.default_rng(1).standard_normal(SHAPE)).astype(np.float32)
    for ends, grey in traces:
        paint_trace(pixels, np.array(ends, float), grey, 2.0, np.random.default_rng(0))
    return pixels


@pytest.mark.parametrize("groups", [(None,) * 3, (4, 4, 4)])
def test_traces_run_through_the_ends_of_the_lines_of_a_pile_up(groups):
    upper, lower = sorted(inferred_traces(PATHS, groups), key=lambda t: t.ends[0, 1])
    np.testing.assert_allclose(upper.ends[:, 1], 60, atol=0.1)
    np.testing.assert_allclose(lower.ends[:, 1], 140, atol=0.1)
    # A little beyond the lines: 0.4 of the slip width of 80 px.
    np.testing.assert_allclose(np.sort(upper.ends[:, 0]), [80 - 32, 150 + 32], atol=0.2)
    np.testing.assert_allclose(np.sort(lower.ends[:, 0]), [76 - 32, 146 + 32], atol=0.2)


def test_a_line_alone_tells_no_traces():
    assert inferred_traces(PATHS[:1], [None]) == []
    assert inferred_traces(PATHS[:2], [1, 2]) == []


def test_only_traces_that_can_be_seen_are_kept():
    pixels = canvas(([[20, 61], [260, 61]], -0.1))
    (found,) = measured_traces(pixels, inferred_traces(PATHS, [None] * 3), PATHS, labelled=False)
    assert found.grey == pytest.approx(-0.1, rel=0.35)
    assert found.width_px == pytest.approx(2, rel=0.35)
    np.testing.assert_allclose(found.ends[:, 1], 61, atol=0.4)
    assert found.ends[:, 0].min() == pytest.approx(26, abs=15)
    assert found.ends[:, 0].max() == pytest.approx(254, abs=15)


def test_traces_may_be_lighter_and_leave_the_frame():
    pixels = canvas(([[-50, 140], [400, 140]], 0.08))
    (found,) = measured_traces(pixels, inferred_traces(PATHS, [None] * 3), PATHS, labelled=False)
    assert found.grey == pytest.approx(0.08, rel=0.35)
    assert found.ends[:, 0].min() < 10
    assert found.ends[:, 0].max() > 290


def test_labelled_traces_are_kept_even_where_they_cannot_be_seen():
    ends = np.array([[30.0, 180.0], [250.0, 180.0]])
    (found,) = measured_traces(canvas(), [SlipTrace(ends)], PATHS, labelled=True)
    np.testing.assert_array_equal(found.ends, ends)
    assert found.grey == 0
    seen = canvas((ends, -0.1))
    (found,) = measured_traces(seen, [SlipTrace(ends)], PATHS, labelled=True)
    np.testing.assert_allclose(found.ends, ends, atol=0.5)
    assert found.grey == pytest.approx(-0.1, rel=0.3)
    outside = SlipTrace(ends + np.array([0, 500.0]))
    assert measured_traces(seen, [outside], PATHS, labelled=True)[0].grey == 0
    assert measured_traces(seen, [outside], PATHS, labelled=False) == []
