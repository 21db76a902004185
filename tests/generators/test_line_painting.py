from __future__ import annotations

import numpy as np
import pytest

from defectscope.generators.line_bands import band_around
from defectscope.generators.line_contrast import (
    LineStyle,
    TextureCells,
    local_texture,
    smooth_noise,
)
from defectscope.generators.line_courses import lay_out
from defectscope.generators.line_painting import paint_lines
from defectscope.generators.line_paths import spline_paths
from defectscope.generators.slip_traces import paint_trace

RNG = np.random.default_rng


def grey(shape=(80, 100)):
    return np.full(shape, 0.5, np.float32)


def painted(points, style, shape=(80, 100), seed=0):
    canvas = grey(shape)
    paths = spline_paths(np.array([points], float))
    pieces = paint_lines(canvas, paths, [style], [0.1], RNG(seed))
    return canvas - 0.5, pieces


@pytest.mark.parametrize("y", [40.0, 40.3, 40.5, 40.9])
def test_a_straight_line_has_its_profile_at_any_sub_pixel_place(y):
    change, (piece,) = painted([[10, y], [50, y], [90, y]], LineStyle("dark", 3, 4.0))
    rows = np.arange(80) + 0.5
    expected = -0.3 * np.exp2(-((np.abs(rows - y) / 2) ** 2))
    np.testing.assert_allclose(change[:, 50], expected, atol=2.5e-3)
    assert piece.grey == pytest.approx(0.3)
    assert piece.length_px == pytest.approx(80)
    assert piece.width_px == 4


def test_the_end_is_round_and_at_half_height_half_a_width_beyond():
    change, _ = painted([[10, 40.5], [50, 40.5], [80, 40.5]], LineStyle("dark", 3, 4.0))
    np.testing.assert_allclose(change[40, 80:90], -0.3 * np.exp2(-((np.arange(10) + 0.5) / 2) ** 2),
                               atol=2.5e-3)  # fmt: skip


def test_masks_fill_the_width():
    _, (piece,) = painted([[10, 40], [50, 40], [90, 40]], LineStyle("dark", 3, 4.0))
    dense = piece.mask.to_dense((80, 100))
    np.testing.assert_array_equal(np.flatnonzero(dense[:, 50]), [38, 39, 40, 41])
    assert piece.mask.box == (8, 38, 92, 42)


def test_a_tight_bend_is_painted_where_it_lies():
    t = np.linspace(0, np.pi, 13)
    arc = np.stack([50 + 12 * np.cos(t), 40 - 12 * np.sin(t)], axis=1)
    change, (piece,) = painted(arc, LineStyle("dark", 3, 3.0))
    rows, columns = np.mgrid[:80, :100] + 0.5
    radius = np.hypot(columns - 50, rows - 40)
    upper = rows < 36
    expected = -0.3 * np.exp2(-((np.abs(radius - 12) / 1.5) ** 2))
    np.testing.assert_allclose(change[upper], expected[upper], atol=0.012)
    assert piece.length_px == pytest.approx(12 * np.pi, rel=2e-3)


def test_waviness_moves_the_paint_and_the_truth_together():
    style = LineStyle("dark", 3, 3.0, waviness_px=0.8, waviness_length_px=10)
    change, (piece,) = painted([[5, 40.5], [50, 40.5], [95, 40.5]], style)
    columns = np.arange(12, 88)
    rows = np.arange(80)[:, None] + 0.5
    weights = change[:, columns]
    centre = (rows * weights).sum(axis=0) / weights.sum(axis=0)
    truth = np.interp(columns + 0.5, piece.points[:, 0], piece.points[:, 1])
    assert truth.std() > 0.3
    assert np.abs(centre - truth).max() < 0.12


def test_lines_far_outside_leave_no_trace():
    change, pieces = painted([[-90, -40], [-50, -60], [-30, -40]], LineStyle("dark", 3, 3.0))
    assert not change.any()
    assert pieces == []


def test_no_lines_at_all():
    canvas = grey()
    assert paint_lines(canvas, [], [], [], RNG(0)) == []
    assert (canvas == 0.5).all()


def test_many_lines_are_numbered_in_order():
    support = np.array([[[5, y], [50, y], [95, y]] for y in np.arange(5, 75, 2)], float)
    styles = [LineStyle("dark", 1, 1.5)] * len(support)
    pieces = paint_lines(grey(), spline_paths(support), styles, [0.1] * len(support), RNG(0))
    assert [piece.line for piece in pieces] == list(range(len(support)))
    np.testing.assert_allclose([p.points[0, 1] for p in pieces], support[:, 0, 1], atol=1e-9)


def test_smooth_noise_has_unit_variance_and_its_length():
    position = np.tile(np.arange(4000.0), 3)
    line = np.repeat(np.arange(3), 4000)
    noise = smooth_noise(position, line, np.array([5.0, 5.0, 40.0]), RNG(0))[0]
    assert noise[:8000].std() == pytest.approx(1, abs=0.1)
    assert noise[:8000].mean() == pytest.approx(0, abs=0.15)
    jumps = [np.abs(np.diff(noise[line == k])).mean() for k in (0, 2)]
    assert jumps[0] == pytest.approx(8 * jumps[1], rel=0.3)


def test_a_line_with_a_source_of_its_own_stays_the_same_while_others_grow():
    style = LineStyle("dark", 3, 3.0, variation=0.3, waviness_px=0.8)
    noises = []
    for length in (70, 78, 140):
        paths = [np.stack([np.arange(n) + 0.0, np.zeros(n)], axis=1) for n in (length, 60)]
        course = lay_out(paths, [style] * 2, [None] * 2, [RNG([5, k]) for k in range(2)])
        first, second = (course.line == k for k in range(2))
        noises.append((course.width[second], course.level[second], course.shift[second]))
        noises[-1] += (course.width[first][:70], course.shift[first][:70])
        assert not np.allclose(course.shift[first][:60], course.shift[second])
    for other in noises[1:]:
        for one, two in zip(noises[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("shape", [(16, 16), (300, 200), (9, 500)])
def test_the_local_texture_is_the_deviation_around(shape):
    canvas = (0.5 + 0.03 * RNG(0).standard_normal(shape)).astype(np.float32)
    texture = local_texture(canvas)
    assert texture.shape == shape
    assert np.median(texture) == pytest.approx(0.03, rel=0.1)
    # A flat canvas has no texture: the least there is.
    np.testing.assert_allclose(local_texture(grey()), 0.01, rtol=1e-5)


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 90, 135, 170])
def test_traces_are_straight_and_of_their_width(angle):
    canvas = grey((200, 200))
    direction = np.array([np.cos(np.deg2rad(angle)), -np.sin(np.deg2rad(angle))])
    ends = np.array([100.3, 99.6]) + np.outer([-70, 70], direction)
    paint_trace(canvas, ends, -0.1, 3.0, RNG(0))
    change = np.asarray(0.5 - canvas, float)
    rows, columns = np.mgrid[:200, :200] + 0.5
    across = (columns - 100.3) * direction[1] - (rows - 99.6) * direction[0]
    assert (across * change).sum() / change.sum() == pytest.approx(0, abs=0.05)
    spread = np.sqrt((across**2 * change).sum() / change.sum())
    assert spread * 2.3548 == pytest.approx(3.0, rel=0.05)
    along = (columns - 100.3) * direction[0] + (rows - 99.6) * direction[1]
    assert not change[np.abs(along) > 70].any()


def test_traces_outside_and_without_length_leave_nothing():
    canvas = grey()
    paint_trace(canvas, np.array([[-50.0, -50], [-20, -90]]), -0.2, 2.0, RNG(0))
    paint_trace(canvas, np.array([[5.0, 5], [5, 5]]), -0.2, 2.0, RNG(0))
    assert (canvas == 0.5).all()


@pytest.mark.parametrize("size", [0.0, 0.8, 2.0])
def test_the_grain_of_a_line_is_as_coarse_as_told(size):
    style = LineStyle("dark", 0.3, 60.0, flatness=6.0, roughness=0.2, roughness_px=size)
    canvas = np.full((90, 300), 0.6, np.float32)
    path = np.stack([np.arange(20.0, 280.0), np.full(260, 45.0)], axis=1)
    paint_lines(canvas, [path], [style], [1.0], RNG(1))
    inside = canvas[30:60, 40:260].astype(float) - canvas[30:60, 40:260].mean()
    assert inside.std() == pytest.approx(0.06, rel=0.15)
    neighbours = (inside[:, 1:] * inside[:, :-1]).mean() / inside.var()
    # White noise under a Gaussian: exp(-1 / 4 sigma²), sampled at pixels.
    assert neighbours == pytest.approx(np.exp(-1 / (4 * size**2)) if size else 0, abs=0.06)


@pytest.mark.parametrize("seed", range(24))
def test_pixels_near_a_line_know_how_far_away_it_is(seed):
    rng = RNG(seed)
    angle = seed * np.pi / 12
    support = np.outer(np.linspace(0, 1, 5), [np.cos(angle), np.sin(angle)]) * rng.uniform(40, 160)
    support += rng.uniform(0, 150, 2) + rng.normal(0, 3, (5, 2))
    (path,), (fine,) = spline_paths(support[None]), spline_paths(support[None], 0.1)
    style = LineStyle("dark", 1, rng.uniform(2, 6))
    band = band_around(lay_out([path], [style], [None], rng), range(1), (150, 150))
    rows, columns = np.mgrid[:150, :150].reshape(2, -1, 1) + 0.5
    distance = np.hypot(columns - fine[::4, 0], rows - fine[::4, 1]).min(axis=1)
    assert len(np.unique(band.pixel)) == len(band.pixel)
    reach = 2.3 * style.width_px / 2
    assert not set(np.flatnonzero(distance < reach)) - set(band.pixel.tolist())
    found = np.hypot(band.across, band.beyond)
    near = found < reach
    # A pixel beside the inner side of the tightest bends may see its line a little farther off.
    np.testing.assert_allclose(found[near], distance[band.pixel[near]], atol=0.3)
    assert np.abs(found - distance[band.pixel])[near].mean() < 0.03


@pytest.mark.parametrize("shape", [(16, 16), (120, 200), (9, 500)])
def test_the_texture_of_cells_is_that_of_pixels(shape):
    canvas = (0.5 + 0.03 * RNG(0).standard_normal(shape)).astype(np.float32)
    full, cells = local_texture(canvas), TextureCells.of(canvas)
    x, y = np.arange(0.5, shape[1]), RNG(1).integers(0, shape[0], shape[1]) + 0.5
    for path in (np.stack([x, y], axis=1), np.array([[-30.0, 5], [3.5, 3.5], [900, 7]])):
        (found,) = cells.medians_along([path])
        inside = path[::5][(path[::5] >= 0).all(axis=1) & (path[::5] < shape[::-1]).all(axis=1)]
        columns, rows = np.floor(inside).astype(int).T
        expected = np.median(full[rows, columns]) if len(inside) else np.median(cells.values)
        assert found == pytest.approx(expected, rel=1e-5)
    assert cells.medians_along([]) == []


def test_paint_hides_the_texture_and_the_lines_behind_it():
    canvas = np.clip(0.5 + 0.1 * RNG(0).standard_normal((80, 100)), 0, 1).astype(np.float32)
    support = np.array([[[10, 40.5], [50, 40.5], [90, 40.5]], [[50.5, 10], [50.5, 40], [50.5, 70]]])
    styles = [LineStyle(kind, 1, 8.0, flatness=8.0, opacity=1.0) for kind in ("dark", "bright")]
    grounds = [canvas[40, 10:90].mean(), canvas[10:70, 50].mean()]
    pieces = paint_lines(canvas, spline_paths(support), styles, [0.2, 0.1], RNG(1))
    assert [piece.opacity for piece in pieces] == [1, 1]
    assert [piece.grey for piece in pieces] == pytest.approx([0.2, 0.1], rel=0.01)
    np.testing.assert_allclose(canvas[39:42, 15:45], grounds[0] - 0.2, atol=0.01)
    # The second lies on the first.
    np.testing.assert_allclose(canvas[20:60, 49:52], grounds[1] + 0.1, atol=0.01)


def test_half_opaque_lines_show_half_of_the_texture():
    texture = np.clip(0.5 + 0.1 * RNG(0).standard_normal((80, 100)), 0, 1).astype(np.float32)
    stds = []
    for opacity in (0.0, 0.5):
        canvas = texture.copy()
        style = LineStyle("dark", 1, 8.0, flatness=8.0, opacity=opacity)
        paint_lines(canvas, spline_paths(np.array([[[10, 40], [50, 40], [90, 40.0]]])), [style],
                    [0.05], RNG(1))  # fmt: skip
        stds.append(canvas[38:42, 15:85].std())
    assert stds[1] == pytest.approx(stds[0] / 2, rel=0.03)
