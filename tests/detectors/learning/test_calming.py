"""Noise that is taken out of frames before a network looks at them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from defectscope.detectors.learning.calming import calmed, noise_level


@pytest.fixture(scope="module")
def image():
    """Return mottle with soft dark discs, in 0 to 255."""
    rng = np.random.default_rng(5)
    mottle = cv2.GaussianBlur(rng.standard_normal((240, 320)), (0, 0), 5)
    y, x = np.indices(mottle.shape)
    values = 130 + 12 * mottle / mottle.std()
    for cy, cx in rng.uniform(20, 220, (12, 2)):
        values -= 60 / (1 + np.exp(np.hypot(y - cy, x - cx) - 9))
    return np.clip(values, 0, 255)


def gaussian(image, sigma, seed=0):
    return image + sigma * np.random.default_rng(seed).standard_normal(image.shape)


def of_type(values, dtype):
    factor = 200 if dtype == "uint16" else 1
    limit = 255 * factor
    return np.clip(values * factor, 0, limit).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_calm_frames_stay_as_they_are(image, dtype):
    pixels = of_type(gaussian(image, 1.0), dtype)
    assert calmed(pixels) is pixels
    few = pixels.copy()
    few[::40, ::40] = 0
    assert calmed(few) is few


@pytest.mark.parametrize("sigma", [2.0, 8.0, 25.0])
def test_the_noise_is_known(image, sigma):
    assert noise_level(gaussian(image, sigma).astype(np.float32)) == pytest.approx(sigma, rel=0.06)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("sigma", [12.0, 25.0])
def test_noise_is_smoothed_and_defects_are_left(image, dtype, sigma):
    unit = 200 if dtype == "uint16" else 1
    noisy = of_type(gaussian(image, sigma), dtype)
    found = calmed(noisy)
    assert found.dtype == noisy.dtype
    before, after = (np.sqrt(np.mean((p / unit - image) ** 2)) for p in (noisy, found))
    assert after < 0.55 * before
    assert np.corrcoef(found.ravel(), image.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_dead_and_hot_pixels_take_the_median_of_their_neighbours(image, dtype):
    pixels = of_type(image, dtype)
    rng = np.random.default_rng(1)
    spoilt = pixels.copy()
    hit = rng.random(pixels.shape) < 0.05
    spoilt[hit] = np.where(rng.random(hit.sum()) < 0.5, 0, pixels.max() * 1.2)
    found = calmed(spoilt)
    assert found.dtype == pixels.dtype
    unit = 200 if dtype == "uint16" else 1
    # Hardly anything else is touched; of a hundred at most three stand beside another and stay.
    assert np.mean((found != spoilt)[~hit]) < 0.01
    off = np.abs(found.astype(float) - pixels) / unit > 40
    assert off.sum() < 0.03 * hit.sum()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("share", [0.003, 0.01, 0.1])
def test_an_image_of_almost_one_grey_level_keeps_what_it_has(dtype, share):
    pixels = np.full((240, 320), 100, dtype)
    pixels[np.random.default_rng(0).random(pixels.shape) < share] += 1
    assert np.ptp(calmed(pixels)) > 0


@settings(max_examples=60)
@given(
    st.sampled_from(["uint8", "uint16", "float32"]).flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            st.tuples(st.integers(1, 40), st.integers(1, 40)),
            elements=st.integers(0, 255) if dtype != "float32" else st.floats(-1e6, 1e6, width=32),
        )
    )
)
def test_any_image_gives_one_of_its_shape_and_type(pixels):
    found = calmed(pixels)
    assert (found.shape, found.dtype) == (pixels.shape, pixels.dtype)
    assert np.isfinite(found).all()
    assert (found.min() == found.max()) <= (pixels.min() == pixels.max())
