from __future__ import annotations

import numpy as np
import pytest

from defectscope.analysis.line_matching import matching_lines
from defectscope.analysis.profile_comparison import compare_profiles
from defectscope.analysis.profile_figure import profile_figure
from defectscope.core.errors import UsageError
from defectscope.core.geometry.splines import spline_through
from defectscope.generators.line_contrast import LineStyle
from defectscope.generators.line_painting import paint_lines

SHAPE = (120, 160)
PATHS = [spline_through([[15, 30], [80, 40], [145, 32]]), spline_through([[20, 90], [140, 80]])]
STYLES = [LineStyle("dark", 0.3, 4.0), LineStyle("bright", 0.2, 3.0)]


def image(seed, sigma=0.03, paths=PATHS, shape=SHAPE, factor=1.0, roughness=0.0):
    rng = np.random.default_rng(seed)
    pixels = (0.5 + sigma * rng.standard_normal(shape)).astype(np.float32)
    styles = [
        LineStyle(s.contrast, s.strength, factor * s.width_px, roughness=roughness) for s in STYLES
    ]
    paint_lines(pixels, [factor * path for path in paths], styles, [1.0] * len(paths), rng)
    return pixels


def test_known_widths_and_contrasts_are_found_in_both():
    found = compare_profiles(image(0), PATHS, image(1), PATHS[::-1])
    table = found.lines
    assert table["line"].tolist() == [0, 1]
    assert table["twin_distance_px"].to_numpy() == pytest.approx(0, abs=0.1)
    for side in ("real", "twin"):
        np.testing.assert_allclose(table[f"{side}_width_px"], [4, 3], rtol=0.08)
        np.testing.assert_allclose(table[f"{side}_contrast"], [-0.3, 0.2], rtol=0.08)
        assert table[f"{side}_contrast_kind"].tolist() == ["dark", "bright"]
        np.testing.assert_allclose(table[f"{side}_roughness"], 0.03, atol=0.01)


def test_profiles_are_single_averaged_and_of_all_lines():
    found = compare_profiles(image(0), PATHS, image(1), PATHS, reach_px=10)
    table = found.profiles
    assert table.groupby("kind").size().to_dict() == {"averaged": 162, "mean": 81, "single": 162}
    own = table[(table["line"] == 0) & (table["kind"] == "averaged")].set_index("offset_px")
    assert own.index[0] == -10
    assert own.index[-1] == 10
    assert own["real_grey"].idxmin() == pytest.approx(0, abs=0.5)
    assert own.loc[0, "real_grey"] == pytest.approx(0.2, abs=0.02)
    assert own.loc[-2, "twin_grey"] == pytest.approx(0.35, abs=0.04)
    single = table[(table["line"] == 0) & (table["kind"] == "single")]
    rough = [(p["real_grey"].to_numpy()[:20]).std() for p in (single, own)]
    assert rough[0] > 2 * rough[1]
    mean = table[table["kind"] == "mean"].set_index("offset_px")
    assert mean["line"].isna().all()
    # One dark and one bright line.
    assert mean.loc[0, "real_grey"] == pytest.approx(0.45, abs=0.02)


def test_a_smoother_twin_shows():
    found = compare_profiles(image(0, roughness=0.5), PATHS, image(1), PATHS)
    assert (found.lines["real_roughness"] > 1.5 * found.lines["twin_roughness"]).all()


def test_a_twin_of_another_size_is_measured_in_px_of_the_image():
    twin = image(1, shape=(240, 320), factor=2.0)
    found = compare_profiles(image(0), PATHS, twin, [2 * path for path in PATHS])
    np.testing.assert_allclose(found.lines["twin_width_px"], [4, 3], rtol=0.08)
    own = found.profiles[(found.profiles["line"] == 0) & (found.profiles["kind"] == "averaged")]
    np.testing.assert_allclose(own["real_grey"], own["twin_grey"], atol=0.03)


def test_lines_without_a_twin_are_left_out_of_the_mean():
    found = compare_profiles(image(0), PATHS, image(1), PATHS[:1])
    assert np.isnan(found.lines["twin_width_px"][1])
    mean = found.profiles[found.profiles["kind"] == "mean"].set_index("offset_px")
    assert mean.loc[0, "real_grey"] == pytest.approx(0.2, abs=0.02)


def test_an_image_alone_is_measured():
    found = compare_profiles(image(0), PATHS)
    assert found.twin is None
    assert found.lines["twin_width_px"].isna().all()
    assert found.profiles["twin_grey"].isna().all()
    assert len(profile_figure(found).axes) == 3
    assert len(profile_figure(compare_profiles(image(0), PATHS, image(1), PATHS)).axes) == 4


def test_one_wide_line_makes_all_be_looked_at_from_afar():
    pixels = image(0)
    wide = spline_through([[15, 62], [145, 60]])
    paint_lines(pixels, [wide], [LineStyle("dark", 0.3, 14.0)], [1.0], np.random.default_rng(0))
    table = compare_profiles(pixels, [*PATHS, wide]).profiles
    assert table["offset_px"].max() == 24
    assert table.groupby(["line", "kind"]).size().nunique() == 1


def test_lines_are_matched_one_to_one_also_where_they_are_cut():
    lines = [PATHS[0], PATHS[0] + [0, 2], PATHS[1]]
    others = [PATHS[1][:80], PATHS[0] + [0, 2.1], PATHS[0] + [0, -0.2]]
    found = matching_lines(lines, others)
    assert [match[0] for match in found] == [2, 1, 0]
    assert found[0][1] == pytest.approx(0.2, abs=0.05)
    assert matching_lines(lines, [PATHS[1] + [0, 9]]) == [None] * 3
    assert matching_lines(lines, []) == [None] * 3


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UsageError, match="no line to take profiles of"):
        compare_profiles(image(0), [])
    with pytest.raises(UsageError, match="no line of the twin lies within 3 px"):
        compare_profiles(image(0), PATHS, image(1), [PATHS[0] + [0, 30]])
    with pytest.raises(UsageError, match="160 x 100 px and the image 160 x 120 px"):
        compare_profiles(image(0), PATHS, image(1)[:100], PATHS)
