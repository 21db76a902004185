from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.geometry.splines import spline_through
from defectscope.core.line_profiles import measure_lines
from defectscope.generators.line_contrast import LineStyle
from defectscope.generators.line_painting import paint_lines

SHAPE = (160, 200)
SUPPORT = ([[30, 40], [80, 52], [120, 45], [170, 60]], [[40, 110], [90, 100], [160, 130]])
PATHS = [spline_through(support) for support in SUPPORT]


def grain(sigma, seed=0):
    rng = np.random.default_rng(seed)
    return (0.6 + sigma * rng.standard_normal(SHAPE)).astype(np.float32)


def painted(styles, sigma=0.0, paths=PATHS, seed=0, levels=None):
    pixels = grain(sigma, seed)
    paint_lines(pixels, paths, styles, [1.0] * len(styles), np.random.default_rng(seed))
    return pixels


STYLES = [LineStyle("dark", 0.25, 4.0), LineStyle("double", 0.15, 6.0, side=-1)]


@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_width_contrast_and_kind_of_painted_lines_are_found(sigma):
    dark, double = measure_lines(painted(STYLES, sigma), PATHS)
    assert (dark.kind, double.kind) == ("dark", "double")
    assert dark.contrast == pytest.approx(-0.25, rel=0.05)
    assert double.contrast == pytest.approx(0.15, rel=0.1)
    assert double.side == -1
    assert dark.width_px == pytest.approx(4, rel=0.06)
    assert double.width_px == pytest.approx(6, rel=0.06)
    assert min(dark.significance, double.significance) > 8
    np.testing.assert_allclose(dark.shift_px, 0, atol=0.5)


def test_labels_beside_the_line_do_not_broaden_it():
    along = np.arange(len(PATHS[0]))
    wobble = 1.3 * np.sin(along / 17)[:, None] * [0, 1]
    pixels = painted(STYLES, 0.04)
    labels = [PATHS[0] + wobble, PATHS[1]]
    followed = measure_lines(pixels, labels)[0]
    as_labelled = measure_lines(pixels, labels, follow_px=0)[0]
    assert followed.width_px == pytest.approx(4, rel=0.1)
    assert followed.contrast == pytest.approx(-0.25, rel=0.1)
    assert as_labelled.width_px > 4.4
    # The line lies on the other side of the label, nearly along y.
    error = followed.shift_px + wobble[:, 1]
    assert np.sqrt((error[10:-10] ** 2).mean()) < 0.5
    np.testing.assert_allclose(as_labelled.shift_px, as_labelled.fit.centre_px)


def test_lines_wider_than_the_reach_are_looked_at_from_farther_away():
    pixels = painted([LineStyle("dark", 0.3, 18.0)], paths=PATHS[:1])
    assert measure_lines(pixels, PATHS[:1])[0].width_px == pytest.approx(18, rel=0.1)


def test_the_level_along_a_line_is_followed_where_it_stands_out_of_the_grain():
    path = spline_through([[20, 80], [180, 80]])
    pixels = grain(0.03)
    half = len(path) // 2
    for part, strength in ((path[:half], 0.1), (path[half:], 0.3)):
        paint_lines(pixels, [part], [LineStyle("dark", strength, 4.0)], [1.0],
                    np.random.default_rng(0))  # fmt: skip
    level = measure_lines(pixels, [path])[0].level
    assert level[10 : half - 15].mean() == pytest.approx(0.5, abs=0.1)
    assert level[half + 15 : -10].mean() == pytest.approx(1.5, abs=0.1)


def test_an_even_line_in_grain_has_an_even_level():
    measured = measure_lines(painted(STYLES, 0.06), PATHS)[0]
    assert measured.level.std() < 0.08


@pytest.mark.parametrize("roughness", [0.0, 0.3, 0.6])
def test_grain_in_the_line_is_told_from_that_beside_it(roughness):
    style = LineStyle("dark", 0.3, 5.0, roughness=roughness)
    measured = measure_lines(painted([style], 0.03, PATHS[:1]), PATHS[:1])[0]
    # Interpolation between pixels smooths grain a little.
    assert measured.grain == pytest.approx(0.8 * roughness, abs=0.1)
    assert measured.roughness > 0.02 + 0.1 * roughness


def test_a_label_without_a_line_is_not_significant():
    measured = measure_lines(grain(0.05), PATHS[:1])[0]
    assert measured.significance < 4
    assert abs(measured.contrast) < 0.06


def test_neighbours_do_not_count():
    paths = [PATHS[0], PATHS[0] + [0, 8]]
    pixels = painted([LineStyle("dark", 0.15, 3.0), LineStyle("dark", 0.35, 3.0)], paths=paths)
    faint, strong = measure_lines(pixels, paths)
    assert faint.contrast == pytest.approx(-0.15, rel=0.07)
    assert strong.contrast == pytest.approx(-0.35, rel=0.07)
    assert faint.width_px == pytest.approx(3, rel=0.1)


def test_lines_outside_the_image_are_not_measured():
    assert measure_lines(grain(0.02), [PATHS[0] + [900, 0]]) == [None]
    half = measure_lines(painted(STYLES[:1], paths=[PATHS[0] - [100, 0]]), [PATHS[0] - [100, 0]])
    assert half[0].width_px == pytest.approx(4, rel=0.05)
