from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.geometry.splines import spline_through
from defectscope.core.line_profiles import measure_lines
from defectscope.generators.line_contrast import LineStyle
from defectscope.generators.line_painting import paint_lines
from defectscope.generators.twin_crowding import told_apart

SHAPE = (160, 220)
BASE = np.array([[20, 50], [110, 62], [200, 55]], float)


def painted(gaps, strengths, sigma=0.03):
    paths = [spline_through(BASE + np.array([0, gap])) for gap in gaps]
    pixels = (0.6 + sigma * np.random.default_rng(0).standard_normal(SHAPE)).astype(np.float32)
    styles = [LineStyle("dark", strength, 3.5) for strength in strengths]
    paint_lines(pixels, paths, styles, [1.0] * len(paths), np.random.default_rng(0))
    return pixels, paths


def test_lines_that_overlap_are_told_apart():
    strengths = [0.2, 0.1, 0.15]
    pixels, paths = painted([0, 3.5, 7], strengths)
    found = measure_lines(pixels, paths)
    apart = told_apart(pixels - 0.6, paths, found, 1.0)
    errors = [
        [abs(-line.contrast - s) / s for line, s in zip(lines, strengths, strict=True)]
        for lines in (found, apart)
    ]
    assert max(errors[1]) < 0.15
    assert max(errors[0]) > 0.5
    for line in apart:
        assert line.width_px == pytest.approx(3.5, rel=0.35)


def test_lines_that_lie_alone_stay_as_they_were_measured():
    pixels, paths = painted([0, 40], [0.2, 0.1])
    found = measure_lines(pixels, paths)
    assert told_apart(pixels - 0.6, paths, found, 2.0) == found
    outside = [*paths, paths[0] + np.array([500.0, 0])]
    assert told_apart(pixels - 0.6, outside, [*found, None], 2.0) == [*found, None]


def test_lines_in_one_place_share_their_contrast():
    pixels, paths = painted([0], [0.2], sigma=0.01)
    both = [paths[0], paths[0] + np.array([0, 0.3])]
    apart = told_apart(pixels - 0.6, both, measure_lines(pixels, both), 0.0)
    assert sum(line.contrast for line in apart) == pytest.approx(-0.2, rel=0.3)
