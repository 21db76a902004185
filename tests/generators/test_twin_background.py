from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from defectscope.core.geometry.splines import spline_through
from defectscope.generators.perlin_background import Perlin
from defectscope.generators.texture import Texture
from defectscope.generators.twin_background import around_lines, measure_background

RNG = np.random.default_rng
SHAPE = (200, 240)
NOTHING = np.zeros(SHAPE, bool)


def texture(seed=0):
    return Texture().render(SHAPE, RNG(seed))[0]


def spectrum(pixels):
    rest = pixels - cv2.GaussianBlur(pixels, (0, 0), 8)
    power = np.abs(np.fft.fft2(rest)) ** 2
    frequency = np.hypot(np.fft.fftfreq(SHAPE[0])[:, None], np.fft.fftfreq(SHAPE[1]))
    edges = [0.05, 0.1, 0.2, 0.3]
    return [power[(frequency >= a) & (frequency < b)].mean() for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("made", [Texture, Perlin])
def test_brightness_and_spectrum_are_those_of_the_image(made):
    image = made().render(SHAPE, RNG(1))[0]
    found = measure_background(image, NOTHING).render(RNG(2))
    assert found.dtype == np.float32
    assert not np.array_equal(found, image)
    assert found.mean() == pytest.approx(image.mean(), abs=0.01)
    np.testing.assert_allclose(spectrum(found), spectrum(image), rtol=0.3)
    smooth = [cv2.GaussianBlur(p, (0, 0), 20).ravel() for p in (found, image)]
    assert np.corrcoef(*smooth)[0, 1] > 0.8


def test_stripes_of_a_camera_keep_their_direction():
    rows = RNG(0).normal(0, 0.05, (SHAPE[0], 1))
    image = (0.5 + rows + RNG(1).normal(0, 0.01, SHAPE)).astype(np.float32)
    found = measure_background(image, NOTHING).render(RNG(2))
    rest = found - cv2.GaussianBlur(found, (0, 0), 8)
    along, across = (rest[:, 5:] * rest[:, :-5]).mean(), (rest[5:] * rest[:-5]).mean()
    assert along > 0.6 * rest.var()
    assert abs(across) < 0.2 * rest.var()


def test_grain_is_rougher_where_it_is_on_the_image():
    image = (0.5 + RNG(0).normal(0, 1, SHAPE) * np.linspace(0.02, 0.06, SHAPE[1])).astype(
        np.float32
    )
    found = measure_background(image, NOTHING).render(RNG(1))
    assert found[:, :40].std() < 0.6 * found[:, -40:].std()


def test_what_lines_cover_does_not_count():
    path = spline_through([[20, 30], [120, 120], [230, 150]])
    image = texture()
    covered = around_lines(SHAPE, [path], [10.0])
    spoilt = np.where(covered, np.float32(0.05), image)
    clean, found = (measure_background(p, covered) for p in (image, spoilt))
    np.testing.assert_allclose(found.level, clean.level, atol=1e-6)
    np.testing.assert_allclose(found.gain, clean.gain, rtol=1e-6)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    points = np.stack([columns, rows], -1)[..., None, :] - path[::4]
    distance = np.hypot(points[..., 0], points[..., 1]).min(axis=-1)
    assert covered[distance < 6].all()
    assert not covered[distance > 13].any()


def test_strangers_without_a_label_are_no_grain():
    image = texture()
    spoilt = image.copy()
    rng = RNG(5)
    for x, y in rng.integers([10, 10], [230, 190], (35, 2)).tolist():
        cv2.circle(spoilt, (x, y), int(rng.integers(4, 8)), 0.2, -1)
    assert spoilt.std() > 2 * image.std()
    found = measure_background(spoilt, NOTHING).render(RNG(0))
    assert found.std() == pytest.approx(image.std(), rel=0.2)
    assert found.mean() == pytest.approx(image.mean(), abs=0.015)


def test_images_without_grain_or_free_pixels_do_no_harm():
    flat = np.full(SHAPE, 0.4, np.float32)
    np.testing.assert_allclose(measure_background(flat, NOTHING).render(RNG(0)), 0.4, atol=0.01)
    assert np.isfinite(measure_background(texture(), ~NOTHING).render(RNG(0))).all()
