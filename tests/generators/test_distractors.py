"""Distractors: they change the picture, are recorded, and stay inside it."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from defectscope.generators.burnt_in import FONTS, draw_pointer, draw_scale_bar, draw_text
from defectscope.generators.distractors import LineLook, draw_bend_contour, draw_line
from defectscope.generators.local_texture import LocalTexture

SHAPE = (200, 300)


def grey(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return np.full(shape, 0.6, np.float32)


@pytest.mark.parametrize("broken", [False, True])
def test_lines_are_dark_and_as_deep_as_recorded(broken: bool) -> None:
    texture = LocalTexture(grey(), 64, 0.02)
    seen = 0
    for seed in range(12):
        canvas = grey()
        record = draw_line(canvas, texture, broken, np.random.default_rng(seed))
        assert json.loads(json.dumps(record)) == record
        points = np.array(record["points"])
        inside = ((points > 20) & (points < [280, 180])).all(axis=1)
        assert canvas.max() == pytest.approx(0.6)
        if inside.all():
            seen += 1
            assert (grey() - canvas).max() == pytest.approx(0.02 * record["contrast"], rel=0.05)
            darkest = np.unravel_index(canvas.argmin(), SHAPE)
            gaps = np.hypot(*(points - np.array(darkest)[::-1] - 0.5).T)
            assert gaps.min() < record["width_px"]
    assert seen


def test_a_broken_line_has_gaps() -> None:
    texture = LocalTexture(grey(), 64, 0.02)
    levels = [
        draw_line(grey(), texture, True, np.random.default_rng(seed))["level"] for seed in range(9)
    ]
    assert sum(min(level) < 0.4 < 0.5 <= max(level) for level in levels) >= 5


def test_a_bend_contour_is_broad_and_dark() -> None:
    canvas = grey()
    record = draw_bend_contour(canvas, np.random.default_rng(3))
    change = grey() - canvas
    assert change.min() >= -1e-6
    assert change.max() == pytest.approx(record["depth"], rel=0.1)
    # No edge anywhere: it changes by little from pixel to pixel.
    assert np.abs(np.diff(change, axis=1)).max() < 0.1 * record["depth"]


@pytest.mark.parametrize("draw", [draw_text, draw_scale_bar, draw_pointer])
def test_what_is_burnt_in_is_hard_and_marks_what_it_covers(draw) -> None:
    seen = 0
    for seed in range(12):
        canvas, covered = grey(), np.zeros(SHAPE, np.uint8)
        record = draw(canvas, covered, np.random.default_rng(seed))
        assert json.loads(json.dumps(record)) == record
        np.testing.assert_array_equal(canvas != np.float32(0.6), covered > 0)
        bright = canvas[covered == 255]
        if bright.size:
            seen += 1
            assert (bright.max() > 0.95) or (bright.min() < 0.05)
    assert seen >= 8


def test_all_fonts_draw_letters() -> None:
    fonts = set()
    for seed in range(40):
        canvas, covered = grey(), np.zeros(SHAPE, np.uint8)
        record = draw_text(canvas, covered, np.random.default_rng(seed))
        fonts.add(record["font"])
        assert covered.any()
    assert fonts == set(FONTS)


def test_text_keeps_off_the_scale_bar() -> None:
    for seed in range(15):
        rng = np.random.default_rng(seed)
        canvas, bar = grey((600, 800)), np.zeros((600, 800), np.uint8)
        draw_scale_bar(canvas, bar, rng)
        both, text = bar.copy(), np.zeros_like(bar)
        record = draw_text(canvas, both, rng)
        cv2.rectangle(text, (record["x"], record["y"]), (record["x"] + 5, record["y"] + 5), 255, -1)
        assert not (text & bar).any()


@pytest.mark.parametrize("window", [16, 64])
def test_local_texture_is_the_standard_deviation_around(window: int) -> None:
    rng = np.random.default_rng(0)
    canvas = 0.5 + rng.normal(0, 0.02, (400, 400)).astype(np.float32)
    canvas[:, 200:] = 0.3 + rng.normal(0, 0.05, (400, 200))
    texture = LocalTexture(canvas, window, 0.001)
    assert texture.at(100, 200) == pytest.approx(0.02, rel=0.15)
    assert texture.at(300, 200) == pytest.approx(0.05, rel=0.15)
    assert texture.level(300, 200) == pytest.approx(0.3, abs=0.02)
    assert texture.at(-50, 900) == pytest.approx(0.02, rel=0.3)


def test_a_smooth_image_has_the_least_texture() -> None:
    assert LocalTexture(grey(), 64, 0.013).at(5, 5) == pytest.approx(0.013)


def test_a_shade_darkens_one_side_of_a_line_broadly() -> None:
    texture = LocalTexture(grey(), 64, 0.02)
    plain, shaded = grey(), grey()
    draw_line(plain, texture, False, np.random.default_rng(4))
    record = draw_line(shaded, texture, False, np.random.default_rng(4), LineLook(shade=0.8))
    assert record["shade"] > 0
    change = plain - shaded
    assert change.min() > -1e-5
    assert np.count_nonzero(change > 0.002) > 3 * np.count_nonzero(plain < 0.59)


def test_magnified_lines_are_longer_and_wider() -> None:
    texture = LocalTexture(grey(), 64, 0.02)
    one, four = (
        draw_line(grey(), texture, False, np.random.default_rng(1), LineLook(magnification=m))
        for m in (1.0, 4.0)
    )
    assert four["length_px"] == pytest.approx(4 * one["length_px"])
    assert four["width_px"] > one["width_px"]
